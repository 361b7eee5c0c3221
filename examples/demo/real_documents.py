"""Ask documents that every machine has, Python's own language reference, with a model that was not trained for it.

    python examples/demo/real_documents.py [--model NAME] [--quote-tokens N] [--ask TEXT]

The model (by default SmolLM2-135M-Instruct) answers from quoted passages: a search over all words opens the best ones,
and they stand in its window word for word. Each answer is printed with what was read and with the passage that it rests
on. A model of this size often answers beside the point; --model takes any causal language model of transformers.
"""

import argparse
import time
from pydoc_data.topics import topics

from transformers.utils import logging

from sharedllm_core import Answer, Document, SharedLLMEngine

QUESTIONS = (
    "What does the continue statement do?",
    "Which exception does the assert statement raise?",
    "What does the yield expression turn a function into?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2", help="folder, hub id or GGUF file; by default smollm2")
    parser.add_argument("--quote-tokens", type=int, default=600, help="the most tokens of passages")
    parser.add_argument("--ask", action="append", help="a question of your own; may be repeated")
    options = parser.parse_args()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    begin = time.perf_counter()
    engine = SharedLLMEngine.from_pretrained(options.model, quote_tokens=options.quote_tokens)
    print(f"\n{options.model}: loaded in {time.perf_counter() - begin:.1f} s; documents are {engine.reading}")
    begin = time.perf_counter()
    library = engine.read([Document(text, id=f"python reference, {name}") for name, text in topics.items()])
    seconds = time.perf_counter() - begin
    print(f"{library.num_tokens:,} tokens of Python's reference indexed in {seconds:.1f} s; no model ran")
    for question in options.ask or QUESTIONS:
        begin = time.perf_counter()
        answer = engine.ask(question, library, max_new_tokens=64, num_evidence=1)
        show(question, answer, time.perf_counter() - begin)


def show(question: str, answer: Answer, seconds: float) -> None:
    """Print one answer, what was read for it, and the passage that it rests on."""
    reading = answer.reading
    print(f"\nQ: {question}\nA: {' '.join(answer.text.split())}")
    print(f"   read: {reading.quoted_tokens:,} of {reading.total_tokens:,} tokens; {seconds:.1f} s")
    for span in answer.evidence:
        print(f"   [{span.document_id}] {' '.join(span.text.split())[:200]}")


if __name__ == "__main__":
    main()

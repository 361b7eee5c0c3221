"""Ask documents that every machine has, Python's own language reference, with the default model.

    python examples/demo/demo.py [--cache FOLDER] [--model NAME] [--ask TEXT ...] [--docs PATH ...]

The documents are some 113,000 tokens. The model answers from quoted passages: a search over all words opens the best
ones, and they stand in its window word for word. Each answer is printed with what was read, with what the reference
says, and with the passage that it rests on. --ask asks your own questions, --docs your own documents, and --model takes
any causal language model of transformers. --cache keeps the converted weights for the next run.
"""

import argparse
import os
import re
import time
from pathlib import Path
from pydoc_data.topics import topics

from transformers.utils import logging

from sharedllm_core import Answer, Document, Library, SharedLLMEngine

#: Questions with what the reference says: any of these words.
QUESTIONS = {
    "Which exception does the assert statement raise?": ["AssertionError"],
    "What does the pass statement do when it is executed?": ["nothing", "null operation"],
    "Which method is called to create a new instance of a class?": ["__new__"],
    "Which exception is raised when a generator has no more values?": ["StopIteration"],
    "Which operator has the lowest precedence?": [":="],
    "What is the default precision of the format type 'f'?": ["6"],
    "Which exception is raised if an imported module cannot be found?": ["ModuleNotFoundError"],
    "Which debugger command prints a stack trace?": ["w", "where", "bt"],
    "Which method is called when the with statement is left?": ["__exit__"],
    "What does the continue statement do?": ["next cycle", "next iteration"],
    "Which keyword is used to define a coroutine?": ["async"],
    "Where does the break statement occur?": ["while", "loop"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, help="folder for what a second run finds; by default the user's own")
    parser.add_argument("--model", default="reader", help="folder, hub id, GGUF file or short name; by default reader")
    parser.add_argument("--ask", nargs="+", help="questions of your own")
    parser.add_argument("--docs", nargs="+", help="documents of your own, with --ask")
    options = parser.parse_args()
    if options.docs and not options.ask:
        parser.error("--docs needs questions about them: --ask TEXT")
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if options.cache:
        os.environ["SHAREDLLM_CACHE_DIR"] = str(options.cache)
    begin = time.perf_counter()
    engine = SharedLLMEngine.from_pretrained(options.model)
    print(f"{options.model}: loaded in {time.perf_counter() - begin:.1f} s; documents are {engine.reading}")
    begin = time.perf_counter()
    library = engine.read(options.docs or [Document(text, id=f"reference: {name}") for name, text in topics.items()])
    print(f"{library.num_tokens:,} tokens read in {time.perf_counter() - begin:.1f} s")
    if options.ask:
        for question in options.ask:
            show(engine, library, question)
        return
    right = sum(says(show(engine, library, question), words) for question, words in QUESTIONS.items())
    print(f"\n{right} of {len(QUESTIONS)} answers are what the reference says.")


def says(answer: Answer, words: list[str]) -> bool:
    """Whether an answer has one of the words; prints what the reference says."""
    is_right = any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", answer.text) for word in words)
    print(f"   {'right' if is_right else 'the reference: ' + ' or '.join(words)}")
    return is_right


def show(engine: SharedLLMEngine, library: Library, question: str) -> Answer:
    """Ask, and print the answer, what was read for it, and the passage that it rests on."""
    begin = time.perf_counter()
    answer = engine.ask(question, library, max_new_tokens=64, num_evidence=1)
    reading = answer.reading
    print(f"\nQ: {question}\nA: {' '.join(answer.text.split())}")
    print(
        f"   read: {reading.quoted_tokens + reading.injected_tokens:,} of {reading.total_tokens:,} tokens; "
        f"{time.perf_counter() - begin:.1f} s"
    )
    for span in answer.evidence:
        print(f"   [{span.document_id}] {' '.join(span.text.split())[:200]}")
    return answer


if __name__ == "__main__":
    main()

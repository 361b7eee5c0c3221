"""How well a model answers where the passage with the answer is all that it reads: the search cannot miss.

    python examples/default_model/gold_passages.py squad_articles.jsonl@:12 fairytale_dev.jsonl --questions 60

Files and slices are those of `real_questions.py`. A passage has some 130 words; questions whose answer stands in none
of them are left out.
"""

import argparse
from random import Random
from statistics import fmean

from qa_files import asked_documents

from sharedllm_core import Document, SharedLLMEngine
from sharedllm_core.evaluation.matching import is_refusal, word_f1
from sharedllm_core.training.tasks import NO_ANSWER


def main() -> None:
    """Print F1 for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of questions, each with @SLICE of its lines")
    parser.add_argument("--model", default="reader", help="folder, hub id, GGUF file or short name")
    parser.add_argument("--questions", type=int, default=60, help="at most so many of a file")
    options = parser.parse_args()
    engine = SharedLLMEngine.from_pretrained(options.model, dtype="bfloat16")
    for file in options.files:
        rng = Random(0)  # noqa: S311 (no secret)
        asked = [
            (document, question)
            for document in asked_documents(file)
            for question in document.questions
            if question.answer != NO_ANSWER
        ]
        drawn = rng.sample(asked, min(options.questions, len(asked)))
        scores, refused = [], 0.0
        for source, question in drawn:
            passage = source.passage_of(question)
            document = Document(passage, id=source.id, metadata={"title": source.title})
            said = engine.ask(question.question, [document], max_new_tokens=48, num_evidence=0).text
            scores.append(word_f1(said, question.answer))
            refused += is_refusal(said)
        print(f"{file}: F1 {fmean(scores):.3f}, refused {refused / len(drawn):.0%} ({len(drawn)} questions)")


if __name__ == "__main__":
    main()

"""Ask a handbook of more than a hundred thousand tokens, with the small model that the package carries.

    python examples/demo/demo.py [--cache FOLDER] [--questions N] [--seed N] [--ask TEXT] [--docs PATH ...]

A handbook of an invented company is written, eight files of Markdown, and read once. Then questions are asked, drawn at
random from everything it says (another seed asks other ones), and every answer is printed beside what the handbook says
and with the span that the answer rests on. With --cache, a second run finds the trees of the first. --ask asks your own
question, and --docs your own documents.
"""

import argparse
import tempfile
import time
from pathlib import Path
from random import Random

from handbook import Fact, write_handbook
from transformers.utils import logging

from sharedllm_core import Answer, Library, SharedLLMEngine, TreeCache


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, help="folder for handbook and trees; by default a temporary one")
    parser.add_argument("--sections", type=int, default=54, help="of each of the eight files")
    parser.add_argument("--questions", type=int, default=12, help="how many to draw")
    parser.add_argument("--seed", type=int, default=0, help="of the questions that are drawn")
    parser.add_argument("--ask", help="a question of your own")
    parser.add_argument("--docs", nargs="+", help="documents of your own, with --ask")
    given = parser.parse_args()
    if given.docs and not given.ask:
        parser.error("--docs needs a question about them: --ask TEXT")
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.cache or Path(temporary)
        facts = write_handbook(folder / "handbook", given.sections, seed=0)
        engine = SharedLLMEngine.from_pretrained("lookup", cache=TreeCache.default(folder=folder / "trees"))
        print(f"The model that comes with sharedllm: {engine.model.num_parameters() / 1e6:.1f} M parameters")
        library = engine.library(given.docs or folder / "handbook")
        cached = engine.cached_tokens(library)
        began = time.perf_counter()
        engine.read(library)
        seconds = time.perf_counter() - began
        print(
            f"{library}\n{library.num_tokens - cached:,} tokens read in {seconds:.1f} s, {cached:,} were in the cache\n"
        )
        if given.ask:
            show(engine, library, given.ask)
            return
        drawn = Random(given.seed).sample(facts, given.questions)  # noqa: S311
        right = sum(ask_about(engine, library, fact, given.seed) for fact in drawn)
        print(f"{right} of {len(drawn)} answers are what the handbook says.")


def ask_about(engine: SharedLLMEngine, library: Library, fact: Fact, seed: int) -> bool:
    """Ask for a fact in one of the ways there are; whether the answer is what the handbook says."""
    question = Random(f"{seed} {fact.key}").choice(fact.questions)  # noqa: S311
    answer = show(engine, library, question)
    right = answer.text.strip().rstrip(".") == fact.value
    print(f"   The handbook says ({fact.document}): {fact.value}{'' if right else '   << not the same'}\n")
    return right


def show(engine: SharedLLMEngine, library: Library, question: str) -> Answer:
    """Ask, and print the answer with its evidence."""
    began = time.perf_counter()
    answer = engine.ask(question, library, max_new_tokens=48, num_evidence=1)
    seconds = time.perf_counter() - began
    print(f"Q: {question}")
    print(f"A: {answer.text}   ({seconds:.2f} s, {answer.usage.injected_states:,} states)")
    for span in answer.evidence:
        print(f"   Evidence ({Path(span.document_id).name}): {' '.join(span.text.split())[:160]}")
    return answer


if __name__ == "__main__":
    main()

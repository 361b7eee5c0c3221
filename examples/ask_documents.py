"""Read a hundred thousand tokens of documents once, then ask.

    python examples/ask_documents.py [--model FOLDER] [--docs PATH ...] [--question TEXT]

Without `--model`, a model of some 20 million random parameters is made on the spot: what it writes means nothing, but
what it does, and how long it takes, is real. Without `--docs`, it reads modules of Python's standard library.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from transformers.utils import logging

from sharedllm_core import Answer, Library, SharedLLMEngine, TreeCache
from sharedllm_core.evaluation.demo_model import make_demo_model, standard_library

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a trained model; by default one with random weights")
    parser.add_argument("--docs", nargs="+", help="files, folders or globs; by default Python's standard library")
    parser.add_argument("--bytes", type=int, default=400_000, help="how much of the standard library")
    parser.add_argument("--question", default="How long does a lock wait before it gives up?")
    parser.add_argument("--layers", type=int, default=8, help="of the random model")
    parser.add_argument("--hidden", type=int, default=384, help="width of the random model")
    options = parser.parse_args()
    logging.disable_progress_bar()
    logging.set_verbosity_error()

    with tempfile.TemporaryDirectory() as folder:
        model = options.model or make_demo_model(Path(folder), layers=options.layers, hidden=options.hidden)
        engine = SharedLLMEngine.from_pretrained(model, cache=TreeCache.default(folder=Path(folder) / "trees"))
        documents = options.docs or standard_library(options.bytes)
        size = engine.model.num_parameters() / 1e6
        print(
            f"A model of {size:.0f} M parameters{'' if options.model else ', random ones: its answers mean nothing'}\n"
        )

        print("1. Ask about documents that nobody has read: only what this question retains is compressed")
        fresh = engine.with_cache(TreeCache([]))
        unread = fresh.library(documents)
        first_s, answer = timed(lambda: ask(fresh, options.question, unread))
        show(answer, first_s)

        print("2. Read them: every node of every context tree is compressed and kept, for any question")
        read_s, library = timed(lambda: engine.read(unread))
        stored = engine.cache.stats()["disk"].num_bytes
        print(f"   {library}")
        print(f"   {read_s:.1f} s, {library.num_tokens / read_s:,.0f} tokens/s, {stored / 1e6:.0f} MB of trees\n")

        print("3. Ask again, something else: no document is read")
        second_s, answer = timed(lambda: ask(engine, "Who wrote the first version of this module?", library))
        show(answer, second_s)
        print(f"   {first_s / second_s:.0f} times sooner than the first answer\n")

        print("4. Another engine finds the trees on disk, as another process would")
        other = engine.with_cache(TreeCache.default(folder=Path(folder) / "trees"))
        disk_s, answer = timed(lambda: ask(other, "Where is the heap invariant explained?", library))
        show(answer, disk_s)
        print(f"   {first_s / disk_s:.0f} times sooner than the first answer\n")

        print("5. Where the answer stands, by the attention that the question drew")
        for span in engine.ask(options.question, library, max_new_tokens=8, num_evidence=3).evidence:
            text = " ".join(span.text.split())[:70]
            print(f"   {span.document_id}, characters {span.start:,} to {span.end:,}, {span.score:.0%}: {text} …")


def ask(engine: SharedLLMEngine, question: str, library: Library) -> Answer:
    return engine.ask(question, library, max_new_tokens=8, num_evidence=0)


def timed(call: Callable[[], T]) -> tuple[float, T]:
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def show(answer: Answer, seconds: float) -> None:
    usage = answer.usage
    print(f"   {usage.past_context_tokens:,} tokens of documents, {usage.cached_tokens:,} of them cached")
    print(f"   {usage.injected_states:,} states injected, {usage.completion_tokens} tokens written, {seconds:.2f} s\n")


if __name__ == "__main__":
    main()

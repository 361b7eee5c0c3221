"""Questions about documents that were read before: seconds, bytes read and peak memory, of two checkouts in turns.

    python tests/benchmarks/warm_questions.py MODEL --checkouts ../before . --tokens 131072 --turns 3 --json warm.json

Each checkout reads the documents into a folder of its own; then processes of both take turns, from disk and from
memory. Needs Linux, whose counters of a process are read. Only the public interface is used, so that it runs with both.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

QUESTIONS = (
    "Which function opens a file with a given encoding",
    "What does the module for arguments raise when an option is unknown?",
    "How long does a lock wait before it gives up",
    "What is the default port?",
    "Where is the heap invariant explained",
)
MEMORY_BYTES = 12 * 10**9


def counters():
    """Bytes that this process has read, its memory and the peak of that, in bytes."""
    found = {}
    for file in ("io", "status"):
        for line in Path(f"/proc/self/{file}").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            found[name] = value.split()[0] if value.split() else ""
    return int(found["rchar"]), *(int(found[name]) * 1024 for name in ("VmRSS", "VmHWM"))


def library(engine, tokens):
    """Python's standard library, cut to exactly so many tokens."""
    from sharedllm_core import Document
    from sharedllm_core.evaluation.demo_model import standard_library

    documents, room = [], tokens
    for document in standard_library(tokens * 6):
        text = engine.tokenizer.encode(document.text)
        cut = document.text[: text.characters(0, min(room, len(text.ids)))[1]]
        documents.append(Document(cut, id=document.id))
        room -= min(room, len(text.ids))
        if not room:
            break
    return engine.library(documents)


def seconds_to_first_piece(engine, question, documents):
    begin = time.perf_counter()
    with engine.stream(question, documents, max_new_tokens=4, num_evidence=0) as stream:
        next(stream)
    return time.perf_counter() - begin


def measure(how, model, folder, tokens):
    """In this process: read the documents, or ask about those that were read; return the figures."""
    from sharedllm_core import Document, SharedLLMEngine, TreeCache

    memory = MEMORY_BYTES if how == "memory" else 0
    cache = TreeCache.default(folder=folder, memory_bytes=memory)
    options = {"dtype": "bfloat16", "reading": "injected", "allow_untrained": True}
    engine = SharedLLMEngine.from_pretrained(model, cache=cache, **options)
    documents = library(engine, tokens)
    if how == "read":
        engine.read(documents, progress=False)
        return {"stored_bytes": cache.stats()["disk"].num_bytes}
    other = engine.library(Document("def main(): pass"))
    seconds_to_first_piece(engine, "What is it?", other)  # whatever is loaded once
    if how == "memory":
        engine.read(documents, progress=False)  # from disk into memory
        seconds_to_first_piece(engine, QUESTIONS[0], documents)
        return {"seconds": median(seconds_to_first_piece(engine, question, documents) for question in QUESTIONS[1:])}
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before = counters()
    past = engine.past_context(QUESTIONS[0], documents)
    after = counters()
    figures = {"read_bytes": after[0] - before[0], "peak_bytes": after[2] - before[1], "retained_bytes": past.nbytes}
    del past
    return {"seconds": seconds_to_first_piece(engine, QUESTIONS[1], documents), **figures}


def run(checkout, how, model, folder, tokens):
    """The same in a process of a checkout."""
    command = [sys.executable, __file__, model, "--tokens", str(tokens), "--measure", how, folder]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(checkout.resolve())}
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", help="a folder that both checkouts can load")
    parser.add_argument("--checkouts", type=Path, nargs="+", default=[Path()], help="folders with the package")
    parser.add_argument("--tokens", type=int, default=131072)
    parser.add_argument("--turns", type=int, default=3, help="of which medians are taken")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=2, metavar=("HOW", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        how, folder = options.measure
        print(json.dumps(measure(how, options.model, folder, options.tokens)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folders = {checkout: str(Path(scratch) / str(number)) for number, checkout in enumerate(options.checkouts)}
        figures = [run(checkout, "read", options.model, folder, options.tokens) for checkout, folder in folders.items()]
        for how in ("disk", "memory"):
            turns = [
                [run(checkout, how, options.model, folder, options.tokens) for checkout, folder in folders.items()]
                for _ in range(options.turns)
            ]
            for number, of_checkout in enumerate(zip(*turns, strict=True)):
                figures[number][how] = {name: median(turn[name] for turn in of_checkout) for name in of_checkout[0]}
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What the tree cache saves, in one run: the first question on unread documents beside the second on read ones.

    python -m sharedllm_core.evaluation.cache_speed --tokens 131072 --json cache.json

Times are from asking to the first piece of the answer. Systems are measured in turns, and medians count, since a shared
machine is now quicker and now slower. "A new process" is a real one, which finds trees on disk alone.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from .. import AnswerOptions, Document, Library, SharedLLMEngine, TreeCache
from ..tree_cache import DiskTier, MemoryTier, codec
from .demo_model import make_demo_model, standard_library
from .figures import with_conditions, write_figures

__all__ = ["main", "table"]

_QUESTIONS = (
    "What does the module for arguments raise when an option is unknown?",
    "Which function opens a file with a given encoding",
    "How long does a lock wait before it gives up",
    "What is the default port?",
    "Where is the heap invariant explained",
    "Who wrote the first version of this module",
)
_BYTES_PER_TOKEN = 6  # more than there are, so that there is enough to cut
_OTHER_ENTRIES = 1000


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--tokens", type=int, default=131072, help="tokens of past context")
    parser.add_argument("--layers", type=int, default=8, help="of the model made for it")
    parser.add_argument("--hidden", type=int, default=384, help="its width")
    parser.add_argument("--repeats", type=int, default=3, help="turns, of which the median counts")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    parser.add_argument("--ask-from", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.ask_from:
        _ask_in_this_process(*options.ask_from)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = _measure(Path(folder), options)
    result = with_conditions(options, figures)
    write_figures(result, options.json)
    print(table(result))


def table(result: dict[str, Any]) -> str:
    """The figures as a Markdown table; ratios are to the first question on unread documents."""
    first = result["seconds"]["first question, unread"]
    lines = ["| | seconds | first question / this |", "|---|---|---|"]
    lines += [f"| {name} | {seconds:.3f} | {first / seconds:.2f} |" for name, seconds in result["seconds"].items()]
    return "\n".join(lines)


def _measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    model = make_demo_model(folder, layers=options.layers, hidden=options.hidden)
    engine = SharedLLMEngine.from_pretrained(model, cache=TreeCache([]))
    library = _library(engine, options.tokens)
    _first_piece(engine, _QUESTIONS[0], engine.library(library.documents[:1]))  # whatever happens once, happens here
    seconds: dict[str, list[float]] = {}
    for turn in range(options.repeats):
        _say(f"turn {turn + 1} of {options.repeats}")
        memory = engine.with_cache(TreeCache([MemoryTier(8 * 10**9)]))
        disk = engine.with_cache(_full_disk(folder / f"disk-{turn}", engine))
        _note(seconds, "first question, unread", _asker(_fresh(engine), _QUESTIONS[0], library))
        _note(seconds, "reading all nodes, into memory", _reader(memory, library))
        _note(seconds, "reading all nodes, into memory and a disk tier with 1,000 entries", _reader(disk, library))
        for question in _QUESTIONS[1:]:
            _note(seconds, "second question, from memory", _asker(memory, question, library))
        for question in _QUESTIONS[1:3]:
            _note(
                seconds,
                "second question, from disk, in a new process",
                None,
                _elsewhere(model, folder, turn, question, options.tokens),
            )
    return {
        "seconds": {name: median(values) for name, values in seconds.items()},
        "all_seconds": seconds,
        "library": {"documents": len(library), "tokens": library.num_tokens, "chunks": len(library.chunks)},
        "parameters": engine.model.num_parameters(),
        "cached_bytes": memory.cache.stats()["memory"].num_bytes,
        "int8": _int8(engine, memory, library),
        "counting": _counting(engine, library),
    }


def _library(engine: SharedLLMEngine, tokens: int) -> Library:
    """The standard library, cut to exactly so many tokens."""
    documents: list[Document] = []
    room = tokens
    for document in standard_library(tokens * _BYTES_PER_TOKEN):
        text = engine.tokenizer.encode(document.text)
        if len(text.ids) > room:
            document = Document(document.text[: text.characters(0, room)[1]], id=document.id)  # noqa: PLW2901
        documents.append(document)
        room -= min(room, len(text.ids))
        if not room:
            break
    return engine.library(documents)


def _first_piece(engine: SharedLLMEngine, question: str, documents: Library) -> None:
    with engine.stream(question, documents, max_new_tokens=8, num_evidence=0) as stream:
        next(stream)


def _fresh(engine: SharedLLMEngine) -> SharedLLMEngine:
    return engine.with_cache(TreeCache([MemoryTier(8 * 10**9)]))


def _full_disk(folder: Path, engine: SharedLLMEngine) -> TreeCache:
    """Memory, and a disk tier that holds a thousand small trees already."""
    disk = DiskTier(folder, "default", 20 * 10**9)
    small = engine.model.encode_nodes([torch.arange(8)])[0]
    for number in range(_OTHER_ENTRIES):
        disk.put(f"{number:064x}", codec.encode(small, f"{number:064x}"))
    return TreeCache([MemoryTier(8 * 10**9), disk])


def _reader(engine: SharedLLMEngine, library: Library) -> Callable[[], object]:
    return lambda: engine.read(library, progress=False)


def _asker(engine: SharedLLMEngine, question: str, library: Library) -> Callable[[], object]:
    return lambda: _first_piece(engine, question, library)


def _elsewhere(model: Path, folder: Path, turn: int, question: str, tokens: int) -> float:
    command = [sys.executable, "-m", __spec__.name, "--tokens", str(tokens)]
    command += ["--ask-from", str(model), str(folder / f"disk-{turn}"), question]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 (our own command)
    return float(done.stdout.split()[-1])


def _ask_in_this_process(model: str, disk: str, question: str) -> None:
    """Load the model and the documents; then time from asking to the first piece, with trees on disk alone."""
    cache = TreeCache([MemoryTier(8 * 10**9), DiskTier(Path(disk), "default", 20 * 10**9)])
    engine = SharedLLMEngine.from_pretrained(model, cache=cache)
    tokens = int(sys.argv[sys.argv.index("--tokens") + 1])
    library = _library(engine, tokens)
    assert engine.cached_tokens(library) == library.num_tokens
    _first_piece(engine.with_cache(TreeCache([])), question, engine.library(Document("def main(): pass")))
    begin = time.perf_counter()
    _first_piece(engine, question, library)
    print(time.perf_counter() - begin)


def _int8(engine: SharedLLMEngine, exact: SharedLLMEngine, library: Library) -> dict[str, float]:
    """What 8-bit trees save and lose beside exact ones."""
    small = engine.with_cache(TreeCache([MemoryTier(8 * 10**9)], int8=True))
    small.read(library, progress=False)
    sizes = [e.cache.stats()["memory"].num_bytes for e in (small, exact)]
    losses, same_nodes, same_tokens = [], 0, 0
    for question in _QUESTIONS:
        pasts = [e.past_context(question, library) for e in (small, exact)]
        ids = engine.tokenizer.encode(question).ids[None]
        with torch.no_grad():
            logits = [engine.model(ids, past_context=past).logits[0] for past in pasts]
        losses.append(float((logits[0] - logits[1]).norm() / logits[1].norm()))
        same_nodes += pasts[0].nodes == pasts[1].nodes
        asked: AnswerOptions = {"max_new_tokens": 32, "num_evidence": 0, "temperature": 0}
        texts = [e.ask(question, library, **asked).text for e in (small, exact)]
        same_tokens += texts[0] == texts[1]
    return {
        "bytes_ratio": sizes[0] / sizes[1],
        "logits_relative_difference": median(losses),
        "questions": len(_QUESTIONS),
        "same_retained_nodes": same_nodes,
        "same_answers": same_tokens,
    }


def _counting(engine: SharedLLMEngine, library: Library) -> dict[str, float]:
    """Counting tokens by tiktoken beside counting by the tokenizer itself."""
    texts = [document.text for document in library]
    tokenizer = engine.tokenizer
    assert tokenizer.counts_fast
    fast, slow = [], []
    for _ in range(5):
        fast.append(_seconds(lambda: [tokenizer.count(text) for text in texts]))
        slow.append(_seconds(lambda: [len(tokenizer.encode(text).ids) for text in texts]))
    counted = sum(tokenizer.count(text) for text in texts)
    return {"tiktoken_s": median(fast), "tokenizer_s": median(slow), "tokens": counted}


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _note(
    seconds: dict[str, list[float]], name: str, call: Callable[[], object] | None, measured: float | None = None
) -> None:
    value = measured if measured is not None else _seconds(call)  # type: ignore[arg-type]
    seconds.setdefault(name, []).append(value)
    _say(f"{name}: {value:.3f} s")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""Time to first token, memory and disk of this library beside llama.cpp, from one GGUF file, on one machine.

    python -m sharedllm_core.evaluation.peers.llama_cpp --server llama-server --threads 1 --json llama_cpp.json

llama.cpp has all documents in its window and keeps their states for the next question. This library reads quoted
passages of at most so many tokens and keeps no states. Beside both, llama.cpp answers from the passages that this
library finds. The systems take turns at every step, and every turn has documents of its own.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from ...engine.model_names import model_location
from ...errors import InputError, SharedLLMError
from ...generation.quoting import Quote, QuoteTemplate
from ..figures import with_conditions, write_figures
from ..quoting_speed import first_set
from .document_files import DocumentFiles
from .llama_server import LlamaServer, find_server
from .quoted_process import QuotedProcess
from .system import FirstToken, System
from .turns import STEPS, measure_turn

__all__ = ["main", "make_systems", "parser", "table", "window_system"]

#: Documents without numbers, so that llama.cpp can shift the states of one that moved to another place.
_ALL_DOCUMENTS = QuoteTemplate(
    "{% for passage in passages %}{{ passage.title }}\n{{ passage.text }}\n\n{% endfor %}{{ question }}"
)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table, and write JSON where asked."""
    options = parser().parse_args(arguments)
    server = find_server(options.server)
    documents, asked = first_set(options.sets)
    questions = list(asked)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        files = DocumentFiles(folder, documents, options.model)
        systems = make_systems(server, folder, options)
        for system in systems:
            running.callback(system.close)
            system.start()
        weights = {"llama.cpp": _llama_weights(systems), "sharedllm": _own_weights(systems)}
        for tokens in options.tokens:
            turns = []
            for turn in range(options.turns):
                print(f"{tokens:,} tokens, turn {turn + 1} of {options.turns}", file=sys.stderr, flush=True)
                order = systems[turn % len(systems) :] + systems[: turn % len(systems)]
                turns.append(measure_turn(order, files.take(tokens), questions[turn:] + questions[:turn]))
            rows += [_row(tokens, system, [turn[system.name] for turn in turns]) for system in systems]
            # After each length, since a longer one takes many minutes.
            write_figures(with_conditions(options, {"weights": weights, "rows": rows}), options.json)
    print(table({"rows": rows}))


def make_systems(server: str, folder: Path, options: argparse.Namespace) -> list[System]:
    """Make the systems that are compared; none of their processes runs yet.

    Args:
        server: the program of llama.cpp's server.
        folder: of documents, saved slots and logs.
        options: those of the command line.

    Raises:
        InputError: the model is no GGUF file.
    """
    model = Path(model_location(options.model))
    if model.suffix.lower() != ".gguf":
        raise InputError(f"{options.model} is no GGUF file here", remedy="give one that both programs load")
    llama = partial(LlamaServer, [server], model, threads=options.threads)
    everything = llama(folder / "all")
    systems = [window_system("llama.cpp, all documents", everything, folder)]
    if options.cache_reuse:
        reusing = llama(folder / "reuse", cache_reuse=options.cache_reuse)
        name = f"llama.cpp, all documents, --cache-reuse {options.cache_reuse}"
        systems.append(window_system(name, reusing, folder))
    for quote_tokens in options.quote_tokens:
        passages = f"{quote_tokens:,} quoted tokens"
        own, search = (QuotedProcess(options.model, quote_tokens, folder, threads=options.threads) for _ in range(2))
        other = llama(folder / f"quoted-{quote_tokens}")
        systems.append(System(f"sharedllm, {passages}", (own,), own.first_token))
        systems.append(_passages_system(f"llama.cpp, the same {passages}", other, search))
    return systems


def window_system(name: str, server: LlamaServer, folder: Path) -> System:
    """Return llama.cpp with all documents, files of `folder`, in its window."""

    def first_token(paths: Sequence[str], question: str) -> FirstToken:
        begin = time.perf_counter()
        quotes = [Quote(path, (folder / path).read_text(encoding="utf-8")) for path in paths]
        messages = _ALL_DOCUMENTS.place([{"role": "user", "content": question}], quotes)
        building = time.perf_counter() - begin
        return server.first_token(messages).after(building)

    return System(name, (server,), first_token)


def _passages_system(name: str, server: LlamaServer, search: QuotedProcess) -> System:
    def first_token(paths: Sequence[str], question: str) -> FirstToken:
        messages, seconds = search.messages(paths, question)
        return server.first_token(messages).after(seconds)

    return System(name, (server, search), first_token)


def _row(tokens: int, system: System, turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"document_tokens": tokens, "system": system.name}
    if not all(turns):
        return {**row, "fits": False}
    firsts = {step: [turn[step] for turn in turns] for step in STEPS}
    return {
        **row,
        "fits": True,
        "seconds": {step: median(first.seconds for first in of_step) for step, of_step in firsts.items()},
        "all": {step: [vars(first) for first in of_step] for step, of_step in firsts.items()},
        "peak_bytes": max(turn["peak_bytes"] for turn in turns),
        "disk_bytes": max(turn["disk_bytes"] for turn in turns),
    }


def table(result: Mapping[str, Any]) -> str:
    """The medians as a Markdown table; the least of each column and length is bold."""
    heads = ["documents (tokens)", "system", *(f"{step} (s)" for step in STEPS), "peak (MB)", "on disk (MB)"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in result["rows"]:
        cells = [f"{row['document_tokens']:,}", row["system"]]
        if row["fits"]:
            others = [one for one in result["rows"] if one["fits"]]
            others = [one for one in others if one["document_tokens"] == row["document_tokens"]]
            for step in STEPS:
                seconds = row["seconds"][step]
                least = min(one["seconds"][step] for one in others)
                cells.append(f"**{seconds:.2f}**" if seconds == least else f"{seconds:.2f}")
            cells += [f"{row['peak_bytes'] / 1e6:,.0f}", f"{row['disk_bytes'] / 1e6:,.0f}"]
        else:
            cells += ["does not fit", *[""] * (len(STEPS) + 1)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _llama_weights(systems: Sequence[System]) -> str:
    (server, *_) = (process for system in systems for process in system.processes if isinstance(process, LlamaServer))
    properties = server.properties()
    return f"{properties['model_ftype']}, build {properties['build_info']}"


def _own_weights(systems: Sequence[System]) -> str:
    processes = (process for system in systems for process in system.processes if isinstance(process, QuotedProcess))
    return f"{next(processes).dtype()}, converted from the same file"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not allowed; give at least 1")
    return number


def _several(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    made.add_argument("--server", default="llama-server", help="llama.cpp's server: a path or a command")
    made.add_argument("--model", default="smollm2", help="a GGUF file, or smollm2")
    made.add_argument("--sets", type=Path, help="JSON lines, each with `documents` and `questions`; the first counts")
    made.add_argument("--tokens", type=_several, default=[2000, 4000, 7000, 32000], help="of the documents")
    made.add_argument("--quote-tokens", type=_several, default=[400, 4000], help="the most tokens of passages")
    made.add_argument("--cache-reuse", type=int, default=256, help="of llama.cpp, measured beside 0; 0 to leave out")
    made.add_argument("--threads", type=_positive, default=1, help="of each system")
    made.add_argument("--turns", type=_positive, default=3, help="of which medians are taken")
    made.add_argument("--json", type=Path, help="where to write all figures")
    return made


if __name__ == "__main__":
    try:
        main()
    except SharedLLMError as refused:
        sys.exit(f"error: {refused}")

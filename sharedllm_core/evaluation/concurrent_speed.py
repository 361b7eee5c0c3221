"""Tokens per second of questions that are asked at the same time, beside the same questions one after another.

    python -m sharedllm_core.evaluation.concurrent_speed --model smollm2 --callers 8 --json concurrent.json

Each question is about a library of its own. Both ways take turns; all answers are compared, and differences counted:
in half precision a row of a batch may be rounded otherwise than alone.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import torch

from .. import Answer, Library, SharedLLMEngine, TreeCache
from ..tree_cache import MemoryTier
from .demo_model import standard_library
from .figures import with_conditions, write_figures

__all__ = ["main", "table"]

_STANDARD_LIBRARY_BYTES = 4_000_000
_LARGE_MODULE = 20_000  # characters
_QUESTION = "Explain in detail what the module {title} is for, and describe its functions one after another."


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="smollm2", help="folder, hub id, GGUF file or short name")
    parser.add_argument("--dtype", default="bfloat16", help="of the weights")
    parser.add_argument("--callers", type=int, default=8, help="questions that are asked at the same time")
    parser.add_argument("--quote-tokens", type=int, default=400, help="the most tokens of passages")
    parser.add_argument("--new-tokens", type=int, default=128, help="of an answer, at most")
    parser.add_argument("--turns", type=int, default=3, help="of which medians are taken")
    parser.add_argument("--threads", type=int, help="of the processor; by default PyTorch's choice")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    engine = SharedLLMEngine.from_pretrained(
        options.model, dtype=options.dtype, cache=TreeCache([MemoryTier(4 * 10**9)]), kept_prompt_bytes=0
    )
    libraries = _libraries(engine, options.callers)
    turns = [_turn(engine, libraries, options) for _ in range(options.turns)]
    figures = {
        "reading": engine.reading,
        "turns": turns,
        "alone": median(turn["alone"] for turn in turns),
        "together": median(turn["together"] for turn in turns),
    }
    result = with_conditions(options, figures)
    write_figures(result, options.json)
    print(table(result))


def _libraries(engine: SharedLLMEngine, count: int) -> list[Library]:
    """Libraries of one large module of the standard library each."""
    documents = [one for one in standard_library(_STANDARD_LIBRARY_BYTES) if len(one.text) > _LARGE_MODULE]
    return [engine.read(documents[number : number + 1], progress=False) for number in range(count)]


def _turn(engine: SharedLLMEngine, libraries: Sequence[Library], options: argparse.Namespace) -> dict[str, float]:
    """Tokens per second of both ways, and how many answers differ."""

    def ask(library: Library) -> Answer:
        question = _QUESTION.format(title=next(iter(library)).title)
        settings = {"max_new_tokens": options.new_tokens, "num_evidence": 0, "temperature": 0.0}
        if engine.reading != "injected":
            settings["quote_tokens"] = options.quote_tokens
        return engine.ask(question, library, **settings)

    alone, alone_rate = _rate(lambda: [ask(library) for library in libraries])
    with ThreadPoolExecutor(len(libraries)) as threads:
        together, together_rate = _rate(lambda: list(threads.map(ask, libraries)))
    differ = sum(one.text != other.text for one, other in zip(alone, together, strict=True))
    return {"alone": alone_rate, "together": together_rate, "differ": differ}


def _rate(call: Callable[[], list[Answer]]) -> tuple[list[Answer], float]:
    begin = time.perf_counter()
    answers = call()
    seconds = time.perf_counter() - begin
    return answers, sum(answer.usage.completion_tokens for answer in answers) / seconds


def table(result: dict[str, Any]) -> str:
    """The medians as a Markdown table."""
    callers = result["settings"]["callers"]
    ratio = result["together"] / result["alone"]
    return "\n".join(
        [
            f"| reading | one after another (tokens/s) | {callers} at the same time (tokens/s) | ratio |",
            "|---|---|---|---|",
            f"| {result['reading']} | {result['alone']:.1f} | {result['together']:.1f} | {ratio:.1f} |",
        ]
    )


if __name__ == "__main__":
    main()

"""Where the time to the first token goes in quoted reading: selection and prompt beside the prefill of the passages.

    python -m sharedllm_core.evaluation.quoting_speed --model smollm2 --sets nq_passages.jsonl.xz --json quoting.json

Every question but the first is a second question: the documents are tokenised and their words are indexed. The steps
of a question are timed one after the other, so that a slow moment of a shared machine slows all of them.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import torch
from torch import Tensor

from .. import Document, Library, SharedLLMEngine, TreeCache
from ..engine.quoting import Quoter
from ..generation.prompting import build_prompt
from ..generation.quoting import QuoteTemplate
from ..model.window import window_tokens
from .demo_model import standard_library
from .figures import with_conditions, write_figures
from .json_lines import rows_of

__all__ = ["first_set", "main", "question_seconds", "quoted_prompt", "table"]

_NEW_TOKENS = 64  # that the window keeps free for the answer
_STANDARD_LIBRARY_BYTES = 600_000
_STANDARD_LIBRARY_QUESTIONS = (
    "Which function opens a file with a given encoding?",
    "What does the module for arguments raise when an option is unknown?",
    "How long does a lock wait before it gives up?",
    "Where is the heap invariant explained?",
)
_T = TypeVar("_T")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", default="smollm2", help="folder, hub id or GGUF file of a causal language model")
    parser.add_argument("--sets", type=Path, help="JSON lines, each with `documents` and `questions`; the first counts")
    parser.add_argument("--quote-tokens", type=int, default=4096, help="the most tokens of passages")
    parser.add_argument("--questions", type=int, default=8, help="of which medians are taken")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args(arguments)
    documents, questions = first_set(options.sets)
    engine = SharedLLMEngine.from_pretrained(options.model, cache=TreeCache([]), reading="quoted")
    library, tokenising = _timed(lambda: engine.library(documents))
    asked = questions[: options.questions + 1]
    rows = [question_seconds(engine, question, library, options.quote_tokens) for question in asked]
    first, later = rows[0], rows[1:]
    figures = {
        "library": {"documents": len(library), "tokens": library.num_tokens},
        "parameters": engine.model.num_parameters(),
        "tokenising": tokenising,
        "first_question": first,
        "questions": len(later),
        "median": {name: median(row[name] for row in later) for name in first},
        "all": later,
    }
    result = with_conditions(options, figures)
    write_figures(result, options.json)
    print(table(result))


def question_seconds(engine: SharedLLMEngine, question: str, library: Library, quote_tokens: int) -> dict[str, float]:
    """Time the steps of one question up to the first token.

    Returns:
        Seconds of `selection`, `prompt` (all else up to the ids: templates and tokenising) and `prefill`, and the
        number of `prompt tokens`.
    """
    _, selection = _timed(lambda: engine.passages(question, library, max_tokens=quote_tokens))
    ids, together = _timed(lambda: quoted_prompt(engine, question, library, quote_tokens))
    _, prefill = _timed(lambda: _prefill(engine, ids))
    return {
        "selection": selection,
        "prompt": max(together - selection, 0.0),
        "prefill": prefill,
        "prompt tokens": len(ids),
    }


def quoted_prompt(engine: SharedLLMEngine, question: str, library: Library, quote_tokens: int) -> Tensor:
    """Select passages and build the prompt with them, as `engine.ask` does; token ids [n]."""
    tokenizer = engine.tokenizer
    window = window_tokens(engine.model.config, tokenizer.tokenizer)
    prompt = build_prompt(question, tokenizer, window, _NEW_TOKENS)
    return Quoter(tokenizer, QuoteTemplate()).quote(prompt, library, quote_tokens, window - _NEW_TOKENS, None).ids


@torch.no_grad()
def _prefill(engine: SharedLLMEngine, ids: Tensor) -> None:
    engine.model(ids[None].to(engine.model.device), logits_to_keep=1).logits.cpu()  # waits for the device


def table(result: dict[str, Any]) -> str:
    """The medians as a Markdown table; shares are of the prefill."""
    lines = ["| step | seconds | share of the prefill |", "|---|---|---|"]
    medians = result["median"]
    steps = ("selection", "prompt", "prefill")
    lines += [f"| {name} | {medians[name]:.3f} | {medians[name] / medians['prefill']:.1%} |" for name in steps]
    return "\n".join(lines)


def first_set(path: Path | None) -> tuple[list[Document], Sequence[str]]:
    """Documents and questions of a file's first line, or modules of Python's standard library."""
    if path is None:
        return standard_library(_STANDARD_LIBRARY_BYTES), _STANDARD_LIBRARY_QUESTIONS
    _, row = next(iter(rows_of(path)))
    documents = [
        Document(one["text"], id=one["id"], metadata={"title": one.get("title", "")}) for one in row["documents"]
    ]
    return documents, [one["question"] for one in row["questions"]]


def _timed(call: Callable[[], _T]) -> tuple[_T, float]:
    begin = time.perf_counter()
    result = call()
    return result, time.perf_counter() - begin


if __name__ == "__main__":
    main()

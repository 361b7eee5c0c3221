"""What SharedLLM is compared with, on the same base weights; one file each.

A baseline is a `System`. All are made from an engine: without a past context its model is the base model.

    system = make_system("yarn", engine)
    system.answers(documents, ["What is the notice period?"], max_new_tokens=32)
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from ... import InputError, SharedLLMEngine
from ..system import System
from .bm25 import BM25
from .bm25_past import BM25Past
from .encoder_decoder import EncoderDecoder
from .full_attention import FullAttention
from .shared_llm import BM25Passages, SharedLLM
from .streaming import Streaming
from .window_only import WindowOnly

__all__ = [
    "BM25",
    "BUDGETED",
    "SYSTEMS",
    "BM25Passages",
    "BM25Past",
    "EncoderDecoder",
    "FullAttention",
    "SharedLLM",
    "Streaming",
    "WindowOnly",
    "make_system",
]

#: Name → what makes the system of an engine and options.
SYSTEMS: dict[str, Callable[..., System]] = {
    "sharedllm": SharedLLM,
    "window_only": WindowOnly,
    "full_attention": FullAttention,
    "dynamic_ntk": partial(FullAttention, scaling="dynamic"),
    "yarn": partial(FullAttention, scaling="yarn"),
    "streaming": Streaming,
    "encoder_decoder": EncoderDecoder,
    "bm25": BM25,
    "bm25_past": BM25Past,
    "bm25_passages": BM25Passages,
}

#: The systems with the option `budget_tokens`: the most tokens of documents in the window.
BUDGETED = frozenset({"sharedllm", "window_only", "bm25", "bm25_passages"})


def make_system(name: str, engine: SharedLLMEngine, **options: Any) -> System:
    """The system of a name.

    Args:
        name: one of `SYSTEMS`.
        engine: with the base weights; for `sharedllm` and `encoder_decoder` with the trained checkpoint.
        options: of the system.

    Raises:
        InputError: a name that is not known.
    """
    if name not in SYSTEMS:
        raise InputError(f"system {name!r} is not known", remedy=f"use one of {', '.join(SYSTEMS)}")
    return SYSTEMS[name](engine, **options)

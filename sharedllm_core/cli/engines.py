"""The tree cache and the engine that a command's options describe, and reading with it.

Imports torch and transformers; commands import it in their bodies.
"""

import logging
import os
import warnings
from typing import Any

from transformers.utils import logging as transformers_logging

from ..engine.engine import SharedLLMEngine
from ..text.library import Library
from ..tree_cache import MemoryTier, TreeCache
from .interrupts import kept_on_interrupt
from .options import CacheOptions, ModelOptions

__all__ = ["make_cache", "make_engine", "read_library"]

_MEMORY_BYTES = 2 * 10**9


def make_cache(options: CacheOptions, *, in_memory: bool = True) -> TreeCache:
    """The tree cache that the options describe.

    Args:
        options: of the command.
        in_memory: keep trees in memory as well, for several questions in one process.
    """
    return TreeCache.default(
        folder=options.cache_dir,
        namespace=options.namespace,
        disk_bytes=options.cache_bytes,
        remote_url=options.remote,
        int8=options.int8,
        memory_bytes=_MEMORY_BYTES if in_memory else 0,
    )


def make_engine(options: ModelOptions, cache: TreeCache) -> SharedLLMEngine:
    """The engine that the options describe; without --debug the libraries below do not log."""
    if not os.environ.get("SHAREDLLM_DEBUG"):
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        logging.captureWarnings(False)
        warnings.filterwarnings("ignore", category=FutureWarning)
    kwargs: dict[str, Any] = {} if options.dtype is None else {"dtype": options.dtype}
    return SharedLLMEngine.from_pretrained(
        options.model or None,
        base=options.base,
        device=options.device,
        cache=cache,
        allow_untrained=options.allow_untrained,
        policy=options.policy,
        reading=options.reading,  # type: ignore[arg-type]  # checked by the option
        **kwargs,
    )


def read_library(engine: SharedLLMEngine, library: Library) -> None:
    """Read a library ahead of questions; an interrupt says how much of it is kept."""
    with kept_on_interrupt(lambda: _kept(engine, library)):
        engine.read(library)


def _kept(engine: SharedLLMEngine, library: Library) -> str:
    if engine.reading == "quoted" or all(isinstance(tier, MemoryTier) for tier in engine.cache.tiers):
        return "nothing is kept of the documents"
    kept = engine.cached_tokens(library)
    return (
        f"the trees of {kept:,} of {library.num_tokens:,} tokens are in the tree cache, and the same command goes on "
        "from there"
    )

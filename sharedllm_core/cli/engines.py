"""The tree cache and the engine that a command's options describe."""

import logging
import os
import warnings
from typing import Any

from transformers.utils import logging as transformers_logging

from ..engine.engine import SharedLLMEngine
from ..tree_cache import TreeCache
from .options import CacheOptions, ModelOptions

__all__ = ["make_cache", "make_engine"]

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

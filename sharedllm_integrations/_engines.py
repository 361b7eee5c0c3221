"""Engines by what they were asked for, each loaded once in a process, at first use."""

from threading import Lock
from typing import Any

from sharedllm_core import SharedLLMEngine, TreeCache

__all__ = ["engine_of"]

_lock = Lock()
_engines: dict[Any, tuple[Any, SharedLLMEngine]] = {}


def engine_of(model: str | None, cache: TreeCache | None = None, **options: Any) -> SharedLLMEngine:
    """The engine of a checkpoint.

    Args:
        model: folder or hub id; `None` for the model of the package.
        cache: where trees are kept; engines that differ in it alone share the model.
        options: of `SharedLLMEngine.from_pretrained`, which can be compared.
    """
    key = (model, *sorted(options.items()))
    with _lock:
        if key not in _engines:
            _engines[key] = (cache, SharedLLMEngine.from_pretrained(model, cache=cache, **options))
        of_cache, engine = _engines[key]
    return engine if cache is None or cache is of_cache else engine.with_cache(cache)

"""Engines by what they were asked for, each loaded once in a process, at first use."""

from threading import Lock
from typing import Any

from sharedllm_core import SharedLLMEngine, TreeCache

__all__ = ["engine_of"]

_lock = Lock()
_loaded: dict[Any, SharedLLMEngine] = {}  # without a cache
_KEPT_AT = "_engines_of_integrations"


class _Engines(dict[Any, SharedLLMEngine]):
    """Engines by what they were asked for; a copy of their cache begins without any."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


_with_default_cache = _Engines()


def engine_of(model: str | None, cache: TreeCache | None = None, **options: Any) -> SharedLLMEngine:
    """The engine of a checkpoint: the same one at each call, so that calls find each other in its line.

    Args:
        model: folder or hub id; `None` for the model of the package.
        cache: where trees are kept; engines that differ in it alone share the model. By default memory and the user's
            cache folder.
        options: of `SharedLLMEngine.from_pretrained`, which can be compared.
    """
    key = (model, *sorted(options.items()))
    with _lock:
        # A cache holds its engines itself: each would live as long as the other, and a table here would keep both.
        kept = _with_default_cache if cache is None else cache.__dict__.setdefault(_KEPT_AT, _Engines())
        if key not in kept:
            if key not in _loaded:
                _loaded[key] = SharedLLMEngine.from_pretrained(model, cache=TreeCache([]), **options)
            kept[key] = _loaded[key].with_cache(TreeCache.default() if cache is None else cache)
        engine: SharedLLMEngine = kept[key]
    return engine

"""One engine per checkpoint and process, loaded at first use, so that calls to it can be batched."""

from threading import Lock
from typing import Any

from sharedllm_core import SharedLLMEngine, TreeCache
from sharedllm_core.engine.default_model_warning import warn_default_model

__all__ = ["shared_engine"]

_lock = Lock()
_loaded: dict[Any, SharedLLMEngine] = {}  # without a cache
_ATTRIBUTE = "_engines_of_integrations"


class _Engines(dict[Any, SharedLLMEngine]):
    """Engines by their loading options; a copy of the cache that holds them starts without any."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


_with_default_cache = _Engines()


def shared_engine(model: str | None, cache: TreeCache | None = None, **options: Any) -> SharedLLMEngine:
    """Return the engine of a checkpoint, the same one at each call; engines that differ in the cache share the model.

    Args:
        model: folder or hub id; `None` for the packaged model, with a `DefaultModelWarning`, once per process.
        cache: the tree cache; by default memory and the user's cache folder.
        options: of `SharedLLMEngine.from_pretrained`; hashable.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    if model is None:
        warn_default_model()
    key = (model, *sorted(options.items()))
    with _lock:
        # A cache holds its engines itself: a table here would keep every cache alive.
        engines = _with_default_cache if cache is None else cache.__dict__.setdefault(_ATTRIBUTE, _Engines())
        if key not in engines:
            if key not in _loaded:
                _loaded[key] = SharedLLMEngine.from_pretrained(model, cache=TreeCache([]), **options)
            engines[key] = _loaded[key].with_cache(TreeCache.default() if cache is None else cache)
        engine: SharedLLMEngine = engines[key]
    return engine

"""One engine per checkpoint and process, loaded at first use, so that calls to it can be batched.

A checkpoint whose files were replaced is loaded again. So an engine answers with the weights whose fingerprint is in
the keys of answer caches.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from sharedllm_core import SharedLLMEngine, TreeCache
from sharedllm_core.engine.checkpoint_fingerprint import checkpoint_versions
from sharedllm_core.engine.default_model_warning import warn_default_model
from sharedllm_core.engine.file_digests import FileVersion

__all__ = ["shared_engine"]

_lock = Lock()
_ATTRIBUTE = "_engines_of_integrations"


@dataclass(frozen=True)
class _LoadedEngine:
    """An engine, and the versions of the files that it was loaded from; `None` if they are not known."""

    engine: SharedLLMEngine
    versions: Mapping[Path, FileVersion] | None

    def derive(self, cache: TreeCache) -> "_LoadedEngine":
        return _LoadedEngine(self.engine.with_cache(cache), self.versions)


class _Engines(dict[Any, _LoadedEngine]):
    """Engines by their loading options; a copy of the cache that holds them starts without any."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()

    def is_current(self, key: Any, versions: Mapping[Path, FileVersion] | None) -> bool:
        """Whether there is an engine of these files; one of other versions is dropped.

        Files that are missing now, such as those of a deleted or half copied checkpoint, drop nothing.
        """
        if key in self and versions is not None and self[key].versions != versions:
            del self[key]
        return key in self


_loaded = _Engines()  # without a cache
_with_default_cache = _Engines()


def shared_engine(model: str | None, cache: TreeCache | None = None, **options: Any) -> SharedLLMEngine:
    """Return the engine of a checkpoint, the same one at each call; engines that differ in the cache share the model.

    If files of the checkpoint were replaced, the new ones are loaded; calls that are running end with the old weights.

    Args:
        model: folder or hub id; `None` for the reader of the package, with a `DefaultModelWarning`, once per process.
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
        versions = checkpoint_versions(model)
        is_loaded = _loaded.is_current(key, versions)
        if not engines.is_current(key, versions):
            if not is_loaded:
                _loaded[key] = _load(model, versions, options)
            engines[key] = _loaded[key].derive(TreeCache.default() if cache is None else cache)
        engine: SharedLLMEngine = engines[key].engine
    return engine


def _load(model: str | None, versions: Mapping[Path, FileVersion] | None, options: Mapping[str, Any]) -> _LoadedEngine:
    engine = SharedLLMEngine.from_pretrained(model, cache=TreeCache([]), **options)
    after = checkpoint_versions(model)
    # Other files were downloaded now. The same files in other versions were replaced while they were read: the
    # versions of before make the next call load them again.
    was_replaced = versions is not None and after is not None and versions.keys() == after.keys()
    return _LoadedEngine(engine, versions if was_replaced else after)

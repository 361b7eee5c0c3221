"""`CacheWriter`: stores trees in background threads while the model continues."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore
from types import TracebackType
from typing import Self

from ..model.node_states import NodeStates
from ..tree_cache import TreeCache

__all__ = ["CacheWriter"]

_MAX_PENDING_WRITES = 32  # trees queued for the cache
_WRITERS = 8  # threads: each waits until the disk has its tree, and the model is faster than that


class CacheWriter:
    """Stores trees in background threads; leaving the block waits for all writes.

    Args:
        cache: stores the trees.
    """

    def __init__(self, cache: TreeCache) -> None:
        self._cache = cache
        self._threads = ThreadPoolExecutor(_WRITERS, thread_name_prefix="sharedllm-cache")
        self._slots = Semaphore(_MAX_PENDING_WRITES)
        self._writes: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown(wait=True)
        if error is None:
            for write in self._writes:
                write.result()

    def put(self, key: str, states: NodeStates, *, complete: bool) -> None:
        """Store a tree; see `TreeCache.put`."""
        self._submit(lambda: self._cache.put(key, states, complete=complete))

    def add(self, key: str, states: NodeStates, is_complete: Callable[[NodeStates], bool]) -> None:
        """Add nodes and selection vectors to a tree; see `TreeCache.add`."""
        self._submit(lambda: self._cache.add(key, states, is_complete))

    def _submit(self, store: Callable[[], None]) -> None:
        self._slots.acquire()

        def write() -> None:
            try:
                store()
            finally:
                self._slots.release()

        self._writes.append(self._threads.submit(write))

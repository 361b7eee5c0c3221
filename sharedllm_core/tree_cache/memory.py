"""Memory tier: an LRU cache of entries in this process."""

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock

from ..model.node_states import NodeStates
from ._tier import Blob, Tier, TierStats

__all__ = ["MemoryTier"]


class MemoryTier(Tier):
    """Keeps entries in memory and evicts the least recently used ones.

    Args:
        max_bytes: the size limit in bytes. An entry larger than that is not stored.
    """

    name = "memory"

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.stats = TierStats()
        self._entries: OrderedDict[str, Blob] = OrderedDict()
        self._trees: dict[str, NodeStates] = {}  # decoded entries; their tensors are views of the entries' bytes
        self._lock = Lock()

    def get(self, key: str) -> Blob | None:
        """See `Tier`."""
        with self._lock:
            blob = self._entries.get(key)
            if blob is None:
                self.stats.misses += 1
            else:
                self.stats.hits += 1
                self._entries.move_to_end(key)
            return blob

    def put(self, key: str, blob: Blob) -> None:
        """See `Tier`."""
        with self._lock:
            self._remove(key)
            if len(blob) > self.max_bytes:
                return
            # Writable bytes, so that decoded tensors can be views of them.
            self._entries[key] = bytearray(blob) if memoryview(blob).readonly else blob
            self.stats.num_bytes += len(blob)
            self.stats.entries += 1
            while self.stats.num_bytes > self.max_bytes:
                self._remove(next(iter(self._entries)))
                self.stats.evictions += 1

    def tree(self, key: str, blob: Blob) -> NodeStates | None:
        """Return the decoded tree of exactly these bytes, or `None`; see `keep_tree`."""
        with self._lock:
            return self._trees.get(key) if self._entries.get(key) is blob else None

    def keep_tree(self, key: str, blob: Blob, tree: NodeStates) -> None:
        """Keep a decoded tree as long as its entry. Its tensors must be views of the entry's bytes."""
        with self._lock:
            if self._entries.get(key) is blob:
                self._trees[key] = tree

    def contains(self, key: str) -> bool:
        """See `Tier`."""
        with self._lock:
            return key in self._entries

    def delete(self, key: str) -> bool:
        """See `Tier`."""
        with self._lock:
            return self._remove(key)

    def keys(self) -> Iterator[str]:
        """See `Tier`."""
        with self._lock:
            return iter(list(self._entries))

    def _remove(self, key: str) -> bool:
        self._trees.pop(key, None)
        blob = self._entries.pop(key, None)
        if blob is None:
            return False
        self.stats.num_bytes -= len(blob)
        self.stats.entries -= 1
        return True

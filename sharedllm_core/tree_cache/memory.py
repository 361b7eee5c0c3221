"""Memory tier: an LRU cache of entries in this process."""

from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock

from ._tier import Blob, OpenEntry, Tier, TierStats, whole_entry

__all__ = ["MemoryTier"]


class MemoryTier(Tier):
    """Keeps entries in memory and evicts the least recently used ones.

    Args:
        max_bytes: the size limit in bytes. An entry larger than that is not stored.
    """

    name = "memory"
    has_latency = False

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.stats = TierStats()
        self._entries: OrderedDict[str, Blob] = OrderedDict()
        self._open: dict[str, OpenEntry] = {}
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
            self._entries[key] = blob
            self._open[key] = whole_entry(blob)
            self.stats.num_bytes += len(blob)
            self.stats.entries += 1
            while self.stats.num_bytes > self.max_bytes:
                self._remove(next(iter(self._entries)))
                self.stats.evictions += 1

    def open(self, key: str) -> OpenEntry | None:
        """See `Tier`. The same object each time, so that an entry's head is parsed once."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._open[key]

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
        self._open.pop(key, None)
        blob = self._entries.pop(key, None)
        if blob is None:
            return False
        self.stats.num_bytes -= len(blob)
        self.stats.entries -= 1
        return True

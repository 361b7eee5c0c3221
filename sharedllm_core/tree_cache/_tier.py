"""The interface of a tier of the tree cache, and its statistics."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Blob", "Tier", "TierStats"]

#: Bytes of an entry. Those that may be written to are decoded without a copy.
Blob = bytes | bytearray | memoryview


@dataclass
class TierStats:
    """What happened in a tier since it was opened, and what it holds now.

    Attributes:
        hits, misses: answers of `get`.
        evictions: entries removed to stay below `max_bytes`.
        errors: calls that failed; each counted as a miss or as nothing done.
        entries, num_bytes: what is there now, of this namespace; −1 where the tier cannot tell cheaply.
    """

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    errors: int = 0
    entries: int = 0
    num_bytes: int = 0


class Tier(ABC):
    """Keeps bytes by key, for one namespace.

    A tier may raise whatever its medium raises; `TreeCache` turns that into a miss and a warning. What it must never do
    is return bytes other than those that were put.
    """

    name: str
    stats: TierStats
    #: Whether it is worth keeping here what only one question retained.
    keeps_partial: bool = True

    @abstractmethod
    def get(self, key: str) -> Blob | None:
        """The bytes that were put, or `None`.

        Raises:
            DamagedEntryError: there were bytes, not those that were put; they are gone now.
        """

    @abstractmethod
    def put(self, key: str, blob: Blob) -> None:
        """Keep bytes; another reader sees all of them or none."""

    @abstractmethod
    def contains(self, key: str) -> bool:
        """Whether there are bytes for `key`; does not count as a use."""

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Remove an entry; whether there was one."""

    @abstractmethod
    def keys(self) -> Iterator[str]:
        """All keys of this namespace."""

    def clear(self) -> int:
        """Remove all entries of this namespace; how many there were."""
        return sum(self.delete(key) for key in list(self.keys()))

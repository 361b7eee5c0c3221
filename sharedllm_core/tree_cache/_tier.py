"""The interface of a tier of the tree cache, and its statistics."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import TreeCacheError

__all__ = ["Blob", "Tier", "TierStats", "Verification"]

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


@dataclass
class Verification:
    """What verifying entries found: how many are sound, and the keys of those removed as damaged, or unreadable."""

    sound: int
    removed: list[str]
    unreadable: list[str]


class Tier(ABC):
    """Keeps bytes by key, for one namespace.

    A tier may raise whatever its medium raises; `TreeCache` turns that into a miss and a warning. What it must never do
    is return bytes other than those that were put.
    """

    name: str
    stats: TierStats
    #: Of the tenant; `None` for a tier that no other process or tenant sees.
    namespace: str | None = None
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

    def touch(self, key: str) -> None:  # noqa: B027 (nothing to do is an answer)
        """Count a use that a nearer tier has answered."""

    def clear(self) -> int:
        """Remove all entries of this namespace; how many there were.

        Raises:
            TreeCacheError: some could not be removed; the others are.
        """
        return self.delete_all(list(self.keys()))

    def delete_all(self, keys: Sequence[str]) -> int:
        """Remove entries; how many there were.

        Raises:
            TreeCacheError: some could not be removed; the others are.
        """
        removed, failed = 0, []
        for key in keys:
            try:
                removed += self.delete(key)
            except Exception as error:  # whatever a disk or a network does
                failed.append(error)
        if failed:
            self.stats.errors += len(failed)
            raise TreeCacheError(
                f"the {self.name} tier could not delete {len(failed)} of {len(keys)} entries ({failed[0]})",
                remedy=f"{removed} are deleted, try again for the others",
            ) from failed[0]
        return removed

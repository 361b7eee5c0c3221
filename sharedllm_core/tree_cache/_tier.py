"""`Tier`: the interface of one tier of the tree cache, with its statistics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

from ..errors import TreeCacheError
from .entry_head import ByteRange, EntryHead

__all__ = ["BEGINNING_BYTES", "Blob", "OpenEntry", "Tier", "TierStats", "Verification", "whole_entry"]

#: Bytes of an entry.
Blob = bytes | bytearray | memoryview
#: Bytes that are read when an entry is opened; most heads are shorter.
BEGINNING_BYTES = 64 * 1024


@dataclass(eq=False)
class OpenEntry(AbstractContextManager["OpenEntry"]):
    """One entry of a tier, for reading ranges of its bytes. Use it in a `with` block.

    Attributes:
        beginning: its first bytes; at least `BEGINNING_BYTES` if it has so many.
        read_ranges: reads ranges, fewer bytes of those that reach beyond the end of the entry.
        close: releases what the tier holds open.
        verify: whether the bytes of parts must be verified by their checksums.
        head: the parsed head, once it was read.
    """

    beginning: Blob
    read_ranges: Callable[[Sequence[ByteRange]], Sequence[Blob]]
    close: Callable[[], None] = lambda: None
    verify: bool = True
    head: EntryHead | None = None

    def read(self, ranges: Sequence[ByteRange]) -> list[Blob]:
        """Read ranges of bytes, those within the beginning from there."""
        known = memoryview(self.beginning)
        missing = [(begin, end) for begin, end in ranges if end > len(known)]
        contents = iter(self.read_ranges(missing) if missing else ())
        return [next(contents) if end > len(known) else known[begin:end] for begin, end in ranges]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def whole_entry(blob: Blob) -> OpenEntry:
    """Return whole bytes, which were verified before, as an open entry."""
    view = memoryview(blob)
    return OpenEntry(view, lambda ranges: [view[begin:end] for begin, end in ranges], verify=False)


@dataclass
class TierStats:
    """Counters since a tier was opened, and its current size.

    Attributes:
        hits, misses: cache hits and misses of `get`.
        evictions: entries evicted to stay below `max_bytes`.
        errors: failed calls; a failed read is treated as a miss, a failed write is skipped.
        entries, num_bytes: current number of entries and bytes of this namespace; −1 if the tier cannot tell cheaply.
    """

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    errors: int = 0
    entries: int = 0
    num_bytes: int = 0


@dataclass
class Verification:
    """Result of verifying entries.

    Attributes:
        sound: number of entries that match their checksum.
        removed: keys of damaged entries, which were deleted.
        unreadable: keys of entries that could not be read.
    """

    sound: int
    removed: list[str]
    unreadable: list[str]


class Tier(ABC):
    """Key-value store of bytes for one namespace.

    A tier may raise any error of its medium; `TreeCache` turns it into a cache miss and a warning. It must never return
    bytes other than those that were stored.
    """

    name: str
    stats: TierStats
    #: Namespace of the tenant; `None` for a tier that is private to its cache.
    namespace: str | None = None
    #: Whether this tier stores partial trees, which have only the nodes that some questions retained.
    keeps_partial: bool = True
    #: Whether reads wait for a device or a network, so that several at once take less time.
    has_latency: bool = True
    #: Whether whole entries are copied to earlier tiers when a question needs some of their nodes.
    fills_earlier_tiers: bool = False

    @abstractmethod
    def get(self, key: str) -> Blob | None:
        """Return the bytes of an entry, or `None` on a miss.

        Raises:
            DamagedEntryError: the entry was damaged; it is deleted.
        """

    @abstractmethod
    def open(self, key: str) -> OpenEntry | None:
        """Open an entry to read ranges of its bytes; return `None` if there is none. Counts as a use."""

    @abstractmethod
    def put(self, key: str, blob: Blob) -> None:
        """Store bytes atomically: a concurrent reader sees all of them or none."""

    @abstractmethod
    def contains(self, key: str) -> bool:
        """Whether there is an entry for `key`; does not count as a use."""

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Delete an entry; return whether there was one."""

    @abstractmethod
    def keys(self) -> Iterator[str]:
        """Iterate over all keys of this namespace."""

    def touch(self, key: str) -> None:  # noqa: B027 (a tier without an order of use has nothing to do)
        """Record a use of an entry that an earlier tier returned."""

    def clear(self) -> int:
        """Delete all entries of this namespace and return their number.

        Raises:
            TreeCacheError: some could not be deleted; all others were.
        """
        return self.delete_all(list(self.keys()))

    def delete_all(self, keys: Sequence[str]) -> int:
        """Delete entries and return how many existed.

        Raises:
            TreeCacheError: some could not be deleted; all others were.
        """
        removed, failed = 0, []
        for key in keys:
            try:
                removed += self.delete(key)
            except Exception as error:  # any error of a disk or a network
                failed.append(error)
        if failed:
            self.stats.errors += len(failed)
            raise TreeCacheError(
                f"the {self.name} tier could not delete {len(failed)} of {len(keys)} entries ({failed[0]})",
                remedy=f"{removed} were deleted, try again for the others",
            ) from failed[0]
        return removed

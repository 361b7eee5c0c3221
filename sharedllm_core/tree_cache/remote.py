"""Remote tier: entries in any store that fsspec supports, such as s3, gcs, azure, hdfs or a shared folder.

Every call has a timeout. After a failure a circuit breaker rejects calls for a while without contacting the store, so
that a dead store costs one timeout and not one per chunk.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import fsspec

from ..errors import CacheUnavailableError, DamagedEntryError
from . import codec
from ._tier import BEGINNING_BYTES, Blob, OpenEntry, Tier, TierStats
from .entry_head import ByteRange

__all__ = ["RemoteTier"]

_T = TypeVar("_T")


class RemoteTier(Tier):
    """Stores entries as objects below an fsspec URL.

    Args:
        url: base URL, such as `s3://bucket/folder`.
        namespace: namespace of the tenant; entries of other namespaces are never accessed.
        timeout_s: timeout of a call, in seconds.
        closed_s: seconds after a failure during which the store is not contacted.
        options: options of the fsspec file system (credentials, endpoint, …).
    """

    name = "remote"
    keeps_partial = False
    fills_earlier_tiers = True

    def __init__(
        self, url: str, namespace: str, *, timeout_s: float = 10.0, closed_s: float = 60.0, **options: Any
    ) -> None:
        self.url = url
        self.namespace = namespace
        self.timeout_s = timeout_s
        self.closed_s = closed_s
        self.stats = TierStats(entries=-1, num_bytes=-1)
        self._options = options
        self._folder = hashlib.sha256(namespace.encode()).hexdigest()[:32]
        self._opened: tuple[Any, str] | None = None
        self._closed_until = 0.0  # time.monotonic() seconds

    def get(self, key: str) -> Blob | None:
        """See `Tier`."""

        def read() -> bytes | None:
            store, root = self._open()
            try:
                return bytes(store.cat_file(self._path(root, key)))
            except FileNotFoundError:
                return None

        blob = self._call_with_timeout(read)
        if blob is None:
            self.stats.misses += 1
            return None
        try:
            codec.check(blob, key)
        except DamagedEntryError:
            self.delete(key)
            raise
        self.stats.hits += 1
        return blob

    def open(self, key: str) -> OpenEntry | None:
        """See `Tier`. Each range is a request; a store that does not support ranges sends the whole entry."""
        try:
            [beginning] = self._read_ranges(key, [(0, BEGINNING_BYTES)])
        except FileNotFoundError:
            return None
        return OpenEntry(beginning, lambda ranges: self._read_ranges(key, ranges))

    def put(self, key: str, blob: Blob) -> None:
        """See `Tier`. The checksum detects partially written objects."""

        def write() -> None:
            store, root = self._open()
            path = self._path(root, key)
            if getattr(store, "protocol", None) in ("file", ("file", "local")):
                store.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            store.pipe_file(path, bytes(blob))

        self._call_with_timeout(write)

    def contains(self, key: str) -> bool:
        """See `Tier`."""

        def look() -> bool:
            store, root = self._open()
            return bool(store.exists(self._path(root, key)))

        return self._call_with_timeout(look)

    def delete(self, key: str) -> bool:
        """See `Tier`."""

        def remove() -> bool:
            store, root = self._open()
            path = self._path(root, key)
            if not store.exists(path):  # some stores report no error for a missing object
                return False
            try:
                store.rm_file(path)
            except FileNotFoundError:
                return False
            return True

        return self._call_with_timeout(remove)

    def keys(self) -> Iterator[str]:
        """See `Tier`."""

        def find() -> list[str]:
            store, root = self._open()
            try:
                paths = store.find(f"{root}/{self._folder}")
            except FileNotFoundError:
                return []
            names = [str(path).rsplit("/", 1)[-1] for path in paths]
            return [name.removesuffix(".safetensors") for name in names if name.endswith(".safetensors")]

        return iter(self._call_with_timeout(find))

    # ---------------------------------------------------------------------------------------------- inside

    def _read_ranges(self, key: str, ranges: Sequence[ByteRange]) -> list[Blob]:
        """Read ranges of an entry's bytes, fewer of those that reach beyond its end.

        Raises:
            FileNotFoundError: there is no such entry.
            CacheUnavailableError: see `_call_with_timeout`.
        """

        def read() -> list[Blob] | None:
            store, root = self._open()
            path = self._path(root, key)
            begins, ends = ([place[side] for place in ranges] for side in (0, 1))
            try:
                return list(store.cat_ranges([path] * len(ranges), begins, ends, on_error="raise"))
            except FileNotFoundError:
                return None
            except (NotImplementedError, TypeError, ValueError):  # no support for ranges
                whole = memoryview(store.cat_file(path))
                return [whole[begin:end] for begin, end in ranges]

        contents = self._call_with_timeout(read)
        if contents is None:
            raise FileNotFoundError(key)
        return contents

    def _open(self) -> tuple[Any, str]:
        if self._opened is None:
            store, root = fsspec.core.url_to_fs(self.url, **self._options)
            self._opened = (store, root.rstrip("/"))
        return self._opened

    def _path(self, root: str, key: str) -> str:
        return f"{root}/{self._folder}/{key[:2]}/{key}.safetensors"

    def _call_with_timeout(self, call: Callable[[], _T]) -> _T:
        """Run `call` in a daemon thread and wait for it at most `timeout_s`.

        Raises:
            CacheUnavailableError: the call failed or timed out, or an earlier one did less than `closed_s` ago.
        """
        if time.monotonic() < self._closed_until:
            raise CacheUnavailableError(
                f"{self.url} failed a moment ago and is not contacted for {self.closed_s:.0f} s"
            )
        outcome: list[Any] = []

        def run() -> None:
            try:
                outcome.append((call(), None))
            except Exception as error:
                outcome.append((None, error))

        thread = threading.Thread(target=run, name="sharedllm-remote-cache", daemon=True)
        thread.start()
        thread.join(self.timeout_s)
        if not outcome:
            self._close()
            raise CacheUnavailableError(
                f"{self.url} did not answer within {self.timeout_s:g} s",
                remedy=f"it is not contacted for {self.closed_s:.0f} s",
            )
        result, error = outcome[0]
        if error is not None:
            self._close()
            raise CacheUnavailableError(
                f"{self.url} failed: {error!r}", remedy=f"it is not contacted for {self.closed_s:.0f} s"
            ) from error
        return result

    def _close(self) -> None:
        self._closed_until = time.monotonic() + self.closed_s
        self._opened = None

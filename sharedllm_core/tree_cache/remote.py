"""Trees on any store that fsspec reaches: s3, gcs, azure, hdfs, another folder, another process's memory.

Every call has a time limit. After a failure the tier is closed for a while and answers at once that it has nothing: a
dead store costs one time limit, and not one for every chunk.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import fsspec

from ..errors import CacheUnavailableError, DamagedEntryError
from . import codec
from ._tier import Blob, Tier, TierStats

__all__ = ["RemoteTier"]

_T = TypeVar("_T")


class RemoteTier(Tier):
    """Entries as objects below an fsspec URL.

    Args:
        url: such as `s3://bucket/folder`.
        namespace: entries of other namespaces are never touched.
        timeout_s: the time limit of a call.
        closed_s: how long the tier stays closed after a failure.
        options: of the fsspec file system (credentials, endpoint, …).
    """

    name = "remote"
    keeps_partial = False

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
        self._closed_until = 0.0

    def get(self, key: str) -> Blob | None:
        """See `Tier`."""

        def read() -> bytes | None:
            store, root = self._open()
            try:
                return bytes(store.cat_file(self._path(root, key)))
            except FileNotFoundError:
                return None

        blob = self._within_limit(read)
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

    def put(self, key: str, blob: Blob) -> None:
        """See `Tier`. What a half-written object looks like is found by its checksum."""

        def write() -> None:
            store, root = self._open()
            path = self._path(root, key)
            if getattr(store, "protocol", None) in ("file", ("file", "local")):
                store.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            store.pipe_file(path, bytes(blob))

        self._within_limit(write)

    def contains(self, key: str) -> bool:
        """See `Tier`."""

        def look() -> bool:
            store, root = self._open()
            return bool(store.exists(self._path(root, key)))

        return self._within_limit(look)

    def delete(self, key: str) -> bool:
        """See `Tier`."""

        def remove() -> bool:
            store, root = self._open()
            path = self._path(root, key)
            if not store.exists(path):  # some stores delete what is not there without a word
                return False
            try:
                store.rm_file(path)
            except FileNotFoundError:
                return False
            return True

        return self._within_limit(remove)

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

        return iter(self._within_limit(find))

    # ---------------------------------------------------------------------------------------------- inside

    def _open(self) -> tuple[Any, str]:
        if self._opened is None:
            store, root = fsspec.core.url_to_fs(self.url, **self._options)
            self._opened = (store, root.rstrip("/"))
        return self._opened

    def _path(self, root: str, key: str) -> str:
        return f"{root}/{self._folder}/{key[:2]}/{key}.safetensors"

    def _within_limit(self, call: Callable[[], _T]) -> _T:
        """Run `call` in a thread that nobody waits for longer than the time limit."""
        if time.monotonic() < self._closed_until:
            raise CacheUnavailableError(f"{self.url} failed a moment ago and is left alone for {self.closed_s:.0f} s")
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
                remedy=f"it is left alone for {self.closed_s:.0f} s",
            )
        result, error = outcome[0]
        if error is not None:
            self._close()
            raise CacheUnavailableError(
                f"{self.url} failed: {error!r}", remedy=f"it is left alone for {self.closed_s:.0f} s"
            ) from error
        return result

    def _close(self) -> None:
        self._closed_until = time.monotonic() + self.closed_s
        self._opened = None

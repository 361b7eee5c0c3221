"""Disk tier: one file per entry, in a folder that several processes can share; LRU eviction.

    FOLDER/<hash of namespace>/<first two digits of key>/<key>.safetensors
    FOLDER/<hash of namespace>/tmp/<unique>                                  files being written

Writes are atomic: a file is written under a temporary name, synced and renamed, so that a killed writer never leaves a
partial entry. The time of last use is the file's modification time. Files that are not entries are ignored.
"""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from threading import Lock

import numpy as np
from platformdirs import user_cache_path

from ..errors import DamagedEntryError
from . import codec
from ._tier import BEGINNING_BYTES, Blob, OpenEntry, Tier, TierStats, Verification
from .entry_head import ByteRange

__all__ = ["DiskTier", "default_folder"]

_SUFFIX = ".safetensors"
_KEY = re.compile(r"[0-9a-f]{64}(-[a-z]+)?")
_EVICT_TO = 0.95  # share of max_bytes to evict down to, so that not every write evicts
_RESCAN_AFTER = 0.02  # share of max_bytes that this process writes before it scans the folder again
_ABANDONED_S = 3600  # temporary files older than this have no running writer


class DiskTier(Tier):
    """Stores entries as files in a folder that several processes can share.

    Args:
        folder: the folder; created with access for its owner only, if missing.
        namespace: namespace of the tenant; entries of other namespaces are neither read nor evicted.
        max_bytes: the size limit of this namespace, in bytes.
        checksum: verify the checksum of each entry when it is read.
    """

    name = "disk"

    def __init__(self, folder: Path, namespace: str, max_bytes: int, *, checksum: bool = True) -> None:
        self.folder = folder / hashlib.sha256(namespace.encode()).hexdigest()[:32]
        self.namespace = namespace
        self.max_bytes = max_bytes
        self.checksum = checksum
        self.stats = TierStats()
        self._unscanned = max_bytes  # bytes written since the last scan; the first write scans the folder
        self._lock = Lock()

    def get(self, key: str) -> Blob | None:
        """See `Tier`."""
        path = self._path(key)
        try:
            with path.open("rb", buffering=0) as file:
                # np.empty does not zero the memory, which would take half of the time and hold the GIL.
                blob = np.empty(os.fstat(file.fileno()).st_size, np.uint8).data
                read = _read_all(file, blob)
        except FileNotFoundError:
            self.stats.misses += 1
            return None
        try:
            if read != len(blob):
                raise DamagedEntryError(f"{path} ends after {read} of {len(blob)} bytes", remedy=codec.RECOMPUTED)
            if self.checksum:
                codec.check(blob, key)
        except DamagedEntryError:
            with suppress(OSError):
                path.unlink()
            raise
        with suppress(OSError):  # a read-only folder still serves reads, without recording uses
            os.utime(path)
        self.stats.hits += 1
        return blob

    def open(self, key: str) -> OpenEntry | None:
        """See `Tier`. Ranges are of the file that was opened, even if it is replaced or deleted meanwhile."""
        path = self._path(key)
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None

        def read(ranges: Sequence[ByteRange]) -> list[Blob]:
            return [_read_range(handle, begin, end) for begin, end in ranges]

        try:
            entry = OpenEntry(_read_range(handle, 0, BEGINNING_BYTES), read, lambda: os.close(handle), self.checksum)
        except BaseException:
            os.close(handle)
            raise
        self.touch(key)
        return entry

    def put(self, key: str, blob: Blob) -> None:
        """See `Tier`."""
        if len(blob) > self.max_bytes:
            return
        path = self._path(key)
        self._make_folder(path.parent)
        temporary = self._make_folder(self.folder / "tmp") / uuid.uuid4().hex
        try:
            with temporary.open("xb", buffering=0) as file:
                _write_all(file, blob)
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)
        with self._lock:
            self._unscanned += len(blob)
            if self._unscanned > self.max_bytes * _RESCAN_AFTER:
                self._evict()

    def contains(self, key: str) -> bool:
        """See `Tier`."""
        return self._path(key).is_file()

    def delete(self, key: str) -> bool:
        """See `Tier`."""
        try:
            self._path(key).unlink()
        except FileNotFoundError:
            return False
        return True

    def keys(self) -> Iterator[str]:
        """See `Tier`."""
        return (path.name.removesuffix(_SUFFIX) for path, _ in self._files())

    def verify(self) -> Verification:
        """Verify the checksum of every entry and delete damaged ones; unreadable entries are reported."""
        found = Verification(0, [], [])
        for key in list(self.keys()):
            try:
                codec.check(self._path(key).read_bytes(), key)
            except FileNotFoundError:  # deleted by another process
                continue
            except DamagedEntryError:
                self.delete(key)
                found.removed.append(key)
            except OSError:
                found.unreadable.append(key)
            else:
                found.sound += 1
        return found

    def touch(self, key: str) -> None:
        """See `Tier`."""
        with suppress(OSError):
            os.utime(self._path(key))

    def measure(self) -> TierStats:
        """Return the statistics, with entries and bytes counted now."""
        sizes = [status.st_size for _, status in self._files()]
        self.stats.entries, self.stats.num_bytes = len(sizes), sum(sizes)
        return self.stats

    # ---------------------------------------------------------------------------------------------- inside

    def _path(self, key: str) -> Path:
        assert _KEY.fullmatch(key), key
        return self.folder / key[:2] / f"{key}{_SUFFIX}"

    def _make_folder(self, folder: Path) -> Path:
        if not folder.is_dir():
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for missing in (self.folder, folder):
                missing.mkdir(exist_ok=True, mode=0o700)
        return folder

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Iterate over entries with their file status; skips files that are deleted meanwhile."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for subfolder in list(os.scandir(self.folder)):
                if len(subfolder.name) != 2 or not subfolder.is_dir(follow_symlinks=False):
                    continue
                with suppress(FileNotFoundError):
                    for entry in list(os.scandir(subfolder.path)):
                        key = entry.name.removesuffix(_SUFFIX)
                        if (
                            entry.name.endswith(_SUFFIX)
                            and _KEY.fullmatch(key)
                            and entry.is_file(follow_symlinks=False)
                        ):
                            with suppress(FileNotFoundError):
                                yield Path(entry.path), entry.stat(follow_symlinks=False)

    def _evict(self) -> None:
        """Scan the folder and evict the least recently used entries if it exceeds the limit."""
        self._unscanned = 0
        files = sorted(self._files(), key=lambda file: file[1].st_mtime_ns)
        total = sum(status.st_size for _, status in files)
        if total > self.max_bytes:
            for path, status in files:
                if total <= self.max_bytes * _EVICT_TO:
                    break
                with suppress(FileNotFoundError):  # deleted by another process
                    path.unlink()
                    self.stats.evictions += 1
                total -= status.st_size
        self._remove_abandoned()

    def _remove_abandoned(self) -> None:
        with suppress(FileNotFoundError):
            for entry in list(os.scandir(self.folder / "tmp")):
                with suppress(FileNotFoundError):
                    if time.time() - entry.stat().st_mtime > _ABANDONED_S:
                        Path(entry.path).unlink()


def default_folder() -> Path:
    """Return the folder for entries that are not placed otherwise: SHAREDLLM_CACHE_DIR, or the user's cache folder."""
    chosen = os.environ.get("SHAREDLLM_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("sharedllm") / "trees"


def _read_all(file: FileIO, blob: memoryview) -> int:
    done = 0
    while done < len(blob):
        count = file.readinto(blob[done:])
        if not count:
            break
        done += count
    return done


def _read_range(handle: int, begin: int, end: int) -> bytes:
    """Read a range of a file's bytes; fewer if the file ends before."""
    end = min(end, os.fstat(handle).st_size)  # a damaged head may name any end
    pieces: list[bytes] = []
    while begin < end and (piece := os.pread(handle, end - begin, begin)):
        pieces.append(piece)
        begin += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _write_all(file: FileIO, blob: Blob) -> None:
    view, done = memoryview(blob), 0
    while done < len(blob):
        done += file.write(view[done:])


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

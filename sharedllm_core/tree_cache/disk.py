"""Trees on disk, shared by processes: whole entries or none, the least recently used go first.

    FOLDER/<namespace>/<first two of key>/<key>.safetensors
    FOLDER/<namespace>/tmp/<unique>                          being written

An entry is written to a temporary name, synced and renamed, so that a killed writer leaves nothing that a reader could
take for an entry. The time of last use is the file's modification time. Files that are not entries are let be.
"""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from threading import Lock

import numpy as np

from ..errors import DamagedEntryError
from . import codec
from ._tier import Blob, Tier, TierStats, Verification

__all__ = ["DiskTier"]

_SUFFIX = ".safetensors"
_KEY = re.compile(r"[0-9a-f]{64}(-[a-z]+)?")
_FULL_AGAIN = 0.95  # of max_bytes is kept when there is more, so that not every write evicts
_RESCAN = 0.02  # of max_bytes written by this process, before it looks what the others have done
_ABANDONED_S = 3600  # a temporary file this old belongs to no living writer


class DiskTier(Tier):
    """Entries as files of a folder that several processes may share.

    Args:
        folder: made with access for its owner alone, if it is not there.
        namespace: entries of other namespaces are neither seen nor evicted.
        max_bytes: the most bytes of this namespace.
        checksum: compare each entry with its checksum when it is read.
    """

    name = "disk"

    def __init__(self, folder: Path, namespace: str, max_bytes: int, *, checksum: bool = True) -> None:
        self.folder = folder / hashlib.sha256(namespace.encode()).hexdigest()[:32]
        self.namespace = namespace
        self.max_bytes = max_bytes
        self.checksum = checksum
        self.stats = TierStats()
        self._unscanned = max_bytes  # look at the folder before the first write
        self._lock = Lock()

    def get(self, key: str) -> Blob | None:
        """See `Tier`."""
        path = self._path(key)
        try:
            with path.open("rb", buffering=0) as file:
                # Memory that is not cleared first: clearing would hold up every other thread, and take half the time.
                blob = np.empty(os.fstat(file.fileno()).st_size, np.uint8).data
                read = _read_all(file, blob)
        except FileNotFoundError:
            self.stats.misses += 1
            return None
        try:
            if read != len(blob):
                raise DamagedEntryError(f"{path} ends after {read} of {len(blob)} bytes", remedy=codec.MADE_AGAIN)
            if self.checksum:
                codec.check(blob, key)
        except DamagedEntryError:
            with suppress(OSError):
                path.unlink()
            raise
        with suppress(OSError):  # a read-only folder forgets the order of use, and still serves
            os.utime(path)
        self.stats.hits += 1
        return blob

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
            if self._unscanned > self.max_bytes * _RESCAN:
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
        """Compare every entry with its checksum; damaged ones are removed. One that cannot be read stops nothing."""
        found = Verification(0, [], [])
        for key in list(self.keys()):
            try:
                codec.check(self._path(key).read_bytes(), key)
            except FileNotFoundError:  # another process was quicker
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
        """The statistics, with entries and bytes counted now."""
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
        """Entries and what the file system says of them; those that vanish meanwhile are left out."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for shelf in list(os.scandir(self.folder)):
                if len(shelf.name) != 2 or not shelf.is_dir(follow_symlinks=False):
                    continue
                with suppress(FileNotFoundError):
                    for entry in list(os.scandir(shelf.path)):
                        key = entry.name.removesuffix(_SUFFIX)
                        if (
                            entry.name.endswith(_SUFFIX)
                            and _KEY.fullmatch(key)
                            and entry.is_file(follow_symlinks=False)
                        ):
                            with suppress(FileNotFoundError):
                                yield Path(entry.path), entry.stat(follow_symlinks=False)

    def _evict(self) -> None:
        """Look at the folder; when it holds too much, remove what was used longest ago."""
        self._unscanned = 0
        files = sorted(self._files(), key=lambda file: file[1].st_mtime_ns)
        total = sum(status.st_size for _, status in files)
        if total > self.max_bytes:
            for path, status in files:
                if total <= self.max_bytes * _FULL_AGAIN:
                    break
                with suppress(FileNotFoundError):  # another process was quicker
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


def _read_all(file: FileIO, blob: memoryview) -> int:
    done = 0
    while done < len(blob):
        count = file.readinto(blob[done:])
        if not count:
            break
        done += count
    return done


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

"""SHA-256 digests of model files, each computed once.

Digests are saved with the path, size and times of their file, so a replaced file is hashed again. They are saved beside
the files where that is wanted and possible, and otherwise in the folder of converted models:

    FOLDER/.sharedllm_digests.json    {"/models/a/model.safetensors": {"version": [size, …], "sha256": "…"}}
"""

import hashlib
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from .gguf_conversion import models_folder

__all__ = ["FileVersion", "file_digests", "file_version"]

#: Size in bytes, modification time and time of the last change of the inode, in nanoseconds.
FileVersion = tuple[int, int, int]

_NAME = ".sharedllm_digests.json"
_lock = Lock()
_known: dict[Path, tuple[FileVersion, str]] = {}  # of this process


def file_version(file: Path) -> FileVersion:
    """Return what changes when a file is replaced.

    The time of the inode's last change also tells apart files that an archive or a package gave the same modification
    time.

    Raises:
        OSError: no such file.
    """
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def file_digests(files: Sequence[Path], folder: Path | None = None) -> list[str]:
    """Return the SHA-256 of each file in hexadecimal digits; only files without a saved digest are read.

    Args:
        files: any existing files.
        folder: where digests are saved, if it is writable; by default the folder of converted models.

    Raises:
        OSError: a file cannot be read.
    """
    paths = [Path(os.path.abspath(file)) for file in files]  # links of a hub cache stay distinct
    with _lock:
        unknown = [path for path in paths if not _is_known(path)]
        places = [models_folder()] if folder is None else [folder, models_folder()]
        for place in places:
            unknown = _load(place / _NAME, unknown)
        for path in unknown:
            _known[path] = _hash(path)
        if unknown:
            _save({path: _known[path] for path in unknown}, places)
        return [_known[path][1] for path in paths]


def _is_known(path: Path) -> bool:
    return path in _known and _known[path][0] == file_version(path)


def _hash(path: Path) -> tuple[FileVersion, str]:
    while True:
        version = file_version(path)
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if file_version(path) == version:  # otherwise it was replaced meanwhile
            return version, digest


def _load(saved: Path, paths: Sequence[Path]) -> list[Path]:
    """Take saved digests of unchanged files, and return the other files."""
    if not paths:
        return []
    entries = _read(saved)
    missing = []
    for path in paths:
        entry, version = entries.get(str(path)), file_version(path)
        if isinstance(entry, dict) and entry.get("version") == list(version) and isinstance(entry.get("sha256"), str):
            _known[path] = version, entry["sha256"]
        else:
            missing.append(path)
    return missing


def _read(saved: Path) -> dict[str, Any]:
    try:
        entries = json.loads(saved.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged: files are hashed again
        return {}
    return entries if isinstance(entries, dict) else {}


def _save(digests: Mapping[Path, tuple[FileVersion, str]], places: Sequence[Path]) -> None:
    """Add digests to the file of the first folder that can be written; without one, the next process hashes again."""
    new = {str(path): {"version": version, "sha256": digest} for path, (version, digest) in digests.items()}
    for place in places:
        with suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            entries = {path: entry for path, entry in _read(place / _NAME).items() if Path(path).exists()} | new
            temporary = place / f"{_NAME}.{uuid.uuid4().hex}"
            try:
                temporary.write_text(json.dumps(entries, indent=1), encoding="utf-8")
                temporary.replace(place / _NAME)
            finally:
                temporary.unlink(missing_ok=True)
            return

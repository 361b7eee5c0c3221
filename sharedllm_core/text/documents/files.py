"""The files of paths, folders and globs.

A folder is walked in sorted order. Hidden files and folders, folders that never hold documents (`node_modules`,
`__pycache__`, …) and whatever the folder's `.gitignore` excludes are left out. Linked folders come last, each once.
"""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DocumentError, setting

if TYPE_CHECKING:
    import pathspec

__all__ = ["FoundFile", "find_files", "same_file_key"]

_EXCLUDED = ("node_modules", "__pycache__", "site-packages", "dist-info")
_GLOB_CHARACTERS = frozenset("*?[")
_SOURCE_REMEDIES = ("give a path or a glob", f"put text into Document({setting('text')}=…)")

#: Identifies a file or folder, whatever path leads to it.
FileKey = tuple[int, int] | str


@dataclass(frozen=True)
class FoundFile:
    """A file to read.

    Attributes:
        path: as it was found from the source.
        named: whether the source is this file's own path, rather than a folder or a glob.
    """

    path: Path
    named: bool


def find_files(source: str | Path) -> Iterator[FoundFile]:
    """Find the files of a path, a folder or a glob.

    Raises:
        DocumentError: the path does not exist, the glob matches nothing, or a folder cannot be listed.
    """
    if not isinstance(source, str | Path):
        raise DocumentError(f"{source!r:.80} is a {type(source).__name__}", remedy="give paths, globs or Documents")
    try:
        path = Path(source).expanduser()
        path.is_dir()
    except (OSError, ValueError, RuntimeError) as error:  # text instead of a path: too long, or with a null character
        why = getattr(error, "strerror", None) or error
        raise DocumentError(f"{str(source)!r:.80} … is not a path ({why})", remedy=_SOURCE_REMEDIES) from error
    if path.is_dir():
        yield from _walk(path)
    elif path.exists():
        yield FoundFile(path, named=True)
    elif _GLOB_CHARACTERS & set(str(source)):
        yield from _matches(path)
    elif os.path.lexists(path):
        raise DocumentError(f"{source} is a broken or circular link", remedy="repair it")
    else:
        raise DocumentError(f"{source} does not exist", remedy=_SOURCE_REMEDIES)


def same_file_key(path: Path) -> FileKey:
    """Return what all paths of one file or folder have in common.

    Raises:
        OSError: there is no such file.
    """
    found = path.stat()
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(path)


def _matches(pattern: Path) -> Iterator[FoundFile]:
    """The files that a glob matches, and those in folders that it matches without anything inside them."""
    matches = sorted(Path(match) for match in glob.glob(str(pattern), recursive=True))
    if not matches:
        raise DocumentError(f"{pattern} matches no file", remedy="check the pattern (** crosses folders)")
    opened = {parent for match in matches for parent in match.parents}
    for match in matches:
        if match.is_file():
            yield FoundFile(match, named=False)
        elif match.is_dir() and match not in opened:
            yield from _walk(match)


def _walk(folder: Path) -> Iterator[FoundFile]:
    """The files of a folder; a circle of links ends where a folder comes up again."""
    ignored = _ignored(folder)
    seen: set[FileKey] = set()
    waiting = [folder]
    while waiting:
        linked: list[Path] = []
        # A folder that cannot be listed is an error.
        for current, folders, files in os.walk(waiting.pop(0), onerror=_raise_for_folder):
            here = Path(current)
            key = same_file_key(here)
            if key in seen:
                folders.clear()
                continue
            seen.add(key)
            kept = sorted(
                name
                for name in folders
                if not _hidden(name) and not ignored.match_file(f"{(here / name).relative_to(folder).as_posix()}/")
            )
            linked += [here / name for name in kept if (here / name).is_symlink()]
            folders[:] = [name for name in kept if not (here / name).is_symlink()]
            for name in sorted(files):
                path = here / name
                if not _hidden(name) and not ignored.match_file(path.relative_to(folder).as_posix()):
                    yield FoundFile(path, named=False)
        waiting += linked


def _raise_for_folder(error: OSError) -> None:
    raise DocumentError(
        f"{error.filename} cannot be listed: {error.strerror}", remedy=["repair its permissions", "ignore it"]
    )


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _EXCLUDED


def _ignored(folder: Path) -> "pathspec.GitIgnoreSpec":
    import pathspec

    rules = folder / ".gitignore"
    lines = rules.read_text(encoding="utf-8", errors="replace").splitlines() if rules.is_file() else []
    return pathspec.GitIgnoreSpec.from_lines(lines)

"""Loading of documents from paths, globs and folders.

A folder is walked in sorted order. Hidden files and folders, folders that never hold documents (`node_modules`,
`__pycache__`, …) and whatever the folder's `.gitignore` excludes are left out. A file that cannot be read raises an
error that names it; with `on_error="skip"` it is listed in the result instead.
"""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...errors import DocumentError, setting
from .document import Document
from .formats import extract_text
from .streams import read_stream

if TYPE_CHECKING:
    import pathspec

__all__ = ["ReadResult", "Source", "Unreadable", "read_documents"]

Source = str | Path | Document

MAX_FILE_BYTES = 100_000_000
_EXCLUDED = ("node_modules", "__pycache__", "site-packages", "dist-info")
_GLOB_CHARACTERS = frozenset("*?[")
_SOURCE_REMEDIES = ("give a path or a glob", f"put text into Document({setting('text')}=…)")


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class ReadResult:
    """The documents, in the order of their sources, and the files that were skipped."""

    documents: list[Document]
    skipped: list[Unreadable]


def read_documents(
    sources: Source | Iterable[Source],
    *,
    on_error: Literal["raise", "skip"] = "raise",
    max_file_bytes: int = MAX_FILE_BYTES,
) -> ReadResult:
    """Read files, folders and globs.

    Args:
        sources: paths, globs (`docs/**/*.md`) and `Document`s. A string is a path or a glob, never text.
        on_error: raise an error for a file that cannot be read, or skip it.
        max_file_bytes: size limit of a file, in bytes.

    Returns:
        Documents whose ids are the paths as given, with `/` as separator. A file that is listed twice is read once.

    Raises:
        DocumentError: a path does not exist, a glob matches nothing, two documents have the same id but different
            texts, or a file cannot be read.
    """
    if isinstance(sources, str | Path | Document):
        sources = [sources]
    documents: dict[str, Document] = {}
    skipped: list[Unreadable] = []
    for source in sources:
        for document in _load(source, on_error, max_file_bytes, skipped):
            known = documents.setdefault(document.id, document)
            if known.text != document.text:
                raise DocumentError(
                    f"two documents have the id {document.id!r} and different texts",
                    remedy="give each an id of its own",
                )
    return ReadResult(list(documents.values()), skipped)


def _load(source: Source, on_error: str, max_file_bytes: int, skipped: list[Unreadable]) -> Iterator[Document]:
    if isinstance(source, Document):
        yield source
        return
    if _is_pipe(source):
        with Path(source).open("rb") as stream:
            yield read_stream(stream, Path(source).as_posix(), max_file_bytes)
        return
    for path in _find_files(source):
        try:
            if not path.is_file():
                path.stat()  # raises for a broken link
                raise DocumentError("it is neither a file nor a folder")
            size = path.stat().st_size
            if size > max_file_bytes:
                raise DocumentError(
                    f"it has {size:,} bytes and the limit is {max_file_bytes:,}",
                    remedy=["split it", f"raise {setting('max_file_bytes')}"],
                )
            text = extract_text(path).text
        except (DocumentError, OSError) as error:
            if on_error == "skip":
                skipped.append(Unreadable(path.as_posix(), str(error)))
                continue
            raise _unreadable(path, error) from error
        yield Document(text=text, id=path.as_posix(), metadata={"path": str(path), "bytes": size})


def _is_pipe(source: str | Path) -> bool:
    """Whether a source is a named pipe, or a shell's `<(…)`. One that lies in a folder is not opened: it may block."""
    try:
        return Path(source).is_fifo()
    except (OSError, TypeError, ValueError):  # not a path; reported where files are searched
        return False


def _unreadable(path: Path, error: DocumentError | OSError) -> DocumentError:
    what, remedies = (error.what, error.remedies) if isinstance(error, DocumentError) else (str(error), ())
    skip = f"skip it with {setting('on_error', 'skip')}"
    return DocumentError(f"{path} cannot be read: {what}", remedy=[*(remedies or ("repair it",)), skip])


def _find_files(source: str | Path) -> Iterator[Path]:
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
        yield path
    elif _GLOB_CHARACTERS & set(str(source)):
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        if not matches:
            raise DocumentError(f"{source} matches no file", remedy="check the pattern (** crosses folders)")
        yield from (match for match in matches if match.is_file())
    elif os.path.lexists(path):
        raise DocumentError(f"{source} is a broken or circular link", remedy="repair it")
    else:
        raise DocumentError(f"{source} does not exist", remedy=_SOURCE_REMEDIES)


def _walk(folder: Path) -> Iterator[Path]:
    ignored = _ignored(folder)
    # Links to folders are not followed, since they could be circular. A folder that cannot be listed is an error.
    for current, folders, files in os.walk(folder, onerror=_raise_for_folder):
        here = Path(current)
        folders[:] = sorted(
            name
            for name in folders
            if not _hidden(name) and not ignored.match_file(f"{(here / name).relative_to(folder).as_posix()}/")
        )
        for name in sorted(files):
            path = here / name
            if not _hidden(name) and not ignored.match_file(path.relative_to(folder).as_posix()):
                yield path


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

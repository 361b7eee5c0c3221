"""Loading of documents from paths, globs and folders.

A file that cannot be read raises an error that names it; with `on_error="skip"` it is listed in the result instead.
Images, archives and other files that are known not to be text are always listed, unless a source names them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DocumentError, setting
from .document import Document
from .file_text import OnError, ReadWarning, document_of_file
from .files import FileKey, FoundFile, find_files, same_file_key
from .formats import extract_text
from .not_text import kind_of_content, kind_of_name
from .streams import read_stream

__all__ = ["ReadResult", "Source", "Unreadable", "read_documents"]

Source = str | Path | Document

MAX_FILE_BYTES = 100_000_000


@dataclass(frozen=True)
class Unreadable:
    """A file that was not read, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True)
class ReadResult:
    """The documents, in the order of their sources, the files that were skipped, and what was lost or guessed."""

    documents: list[Document]
    skipped: list[Unreadable]
    warnings: list[ReadWarning] = field(default_factory=list)


def read_documents(
    sources: Source | Iterable[Source],
    *,
    on_error: OnError = "raise",
    max_file_bytes: int = MAX_FILE_BYTES,
) -> ReadResult:
    """Read files, folders and globs.

    Args:
        sources: paths, globs (`docs/**/*.md`) and `Document`s. A string is a path or a glob, never text.
        on_error: raise an error for a file that cannot be read or not in full, such as a page that is a picture of
            text; or skip such files, and report in the warnings what is missing of others.
        max_file_bytes: size limit of a file, in bytes.

    Returns:
        Documents whose ids are the paths as given, with `/` as separator. A file to which several paths lead is read
        once, and has the first of them. Files in folders that are known not to be text are listed as skipped.

    Raises:
        DocumentError: a path does not exist, a glob matches nothing, two documents have the same id but different
            texts, or a file cannot be read.
    """
    if isinstance(sources, str | Path | Document):
        sources = [sources]
    documents: dict[str, Document] = {}
    skipped: list[Unreadable] = []
    found: list[ReadWarning] = []
    seen: set[FileKey] = set()
    for source in sources:
        for document, warnings in _load(source, on_error, max_file_bytes, skipped, seen):
            found += warnings
            known = documents.setdefault(document.id, document)
            if known.text != document.text:
                raise DocumentError(
                    f"two documents have the id {document.id!r} and different texts",
                    remedy="give each an id of its own",
                )
    return ReadResult(list(documents.values()), skipped, list(dict.fromkeys(found)))


def _load(
    source: Source, on_error: OnError, max_file_bytes: int, skipped: list[Unreadable], seen: set[FileKey]
) -> Iterator[tuple[Document, list[ReadWarning]]]:
    if isinstance(source, Document):
        yield source, []
        return
    if _is_pipe(source):
        with Path(source).open("rb") as stream:
            yield read_stream(stream, Path(source).as_posix(), max_file_bytes, on_error)
        return
    for found in find_files(source):
        path = found.path
        try:
            key = same_file_key(path)  # raises for a broken link
            if key in seen:
                continue
            seen.add(key)
            if not found.named and (kind := kind_of_name(path)) is not None:
                skipped.append(Unreadable(_written_path(path), f"it is {kind}"))
                continue
            read = _read(path, max_file_bytes, on_error)
        except (DocumentError, ImportError, OSError) as error:
            if (kind := _kind_of_unreadable(found)) is not None:
                skipped.append(Unreadable(_written_path(path), f"it is {kind}"))
            elif on_error == "skip":
                skipped.append(Unreadable(_written_path(path), str(error)))
            else:
                raise _unreadable(path, error) from error
            continue
        yield read


def _read(path: Path, max_file_bytes: int, on_error: OnError) -> tuple[Document, list[ReadWarning]]:
    if not path.is_file():
        raise DocumentError("it is neither a file nor a folder")
    size = path.stat().st_size
    if size > max_file_bytes:
        raise DocumentError(
            f"it has {size:,} bytes and the limit is {max_file_bytes:,}",
            remedy=["split it", f"raise {setting('max_file_bytes')}"],
        )
    return document_of_file(extract_text(path), _written_path(path), {"path": str(path), "bytes": size}, on_error)


def _written_path(path: Path) -> str:
    """Return a path in Unicode, with the bytes of a name that is not Unicode escaped."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _kind_of_unreadable(found: FoundFile) -> str | None:
    """What a file of a folder or glob is by its content, if it is known not to be text."""
    try:
        return None if found.named or not found.path.is_file() else kind_of_content(found.path)
    except OSError:
        return None


def _is_pipe(source: str | Path) -> bool:
    """Whether a source is a named pipe, or a shell's `<(…)`. One that lies in a folder is not opened: it may block."""
    try:
        return Path(source).is_fifo()
    except (OSError, TypeError, ValueError):  # not a path; reported where files are searched
        return False


def _unreadable(path: Path, error: DocumentError | ImportError | OSError) -> DocumentError:
    what, remedies = (error.what, error.remedies) if isinstance(error, DocumentError) else (str(error), ())
    if not remedies and not isinstance(error, ImportError):  # which names the package to install
        remedies = ("repair it",)
    skip = setting("on_error", "skip")
    ways = remedies if any(skip in way for way in remedies) else [*remedies, f"skip it with {skip}"]
    return DocumentError(f"{_written_path(path)} cannot be read: {what}", remedy=ways)

"""Loading of documents from paths, globs and folders.

A file that cannot be read raises an error that names it; with `on_error="skip"` it is listed in the result instead.
Images, archives and other files that are known not to be text are always listed, unless a source names them.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DocumentError, setting
from .document import Document
from .extracted import Extracted
from .extraction import ExtractionProgress, Outcome, extract_all
from .file_text import OnError, ReadWarning, document_of_file
from .files import FileKey, FoundFile, find_files, same_file_key
from .formats import has_reader
from .not_text import kind_of_content, kind_of_name
from .streams import read_stream

__all__ = ["ReadResult", "Source", "Unreadable", "read_documents"]

Source = str | Path | Document

MAX_FILE_BYTES = 100_000_000

#: A document, and what is missing in its text or was guessed.
_Read = tuple[Document, list[ReadWarning]]


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
    processes: int | None = None,
    progress: ExtractionProgress | None = None,
) -> ReadResult:
    """Read files, folders and globs.

    Args:
        sources: paths, globs (`docs/**/*.md`) and `Document`s. A string is a path or a glob, never text.
        on_error: raise an error for a file that cannot be read or not in full, such as a page that is a picture of
            text; or skip such files, and report in the warnings what is missing of others.
        max_file_bytes: size limit of a file, in bytes.
        processes: how many processes extract texts side by side; 1 for none besides this one. By default as many as
            there are cores, up to 8, where the files are large enough to gain by it.
        progress: called with the number of files that are done, of how many, and the path of the one that is waited
            for; before each file and several times a second.

    Returns:
        Documents whose ids are the paths as given, with `/` as separator. A file to which several paths lead is read
        once, and has the first of them. Files in folders that are known not to be text are listed as skipped.

    Raises:
        DocumentError: a path does not exist, a glob matches nothing, two documents have the same id but different
            texts, or a file cannot be read.
        InputError: `processes` is below 1.
    """
    if isinstance(sources, str | Path | Document):
        sources = [sources]
    found = list(_find(sources, on_error, max_file_bytes))
    outcomes = extract_all([one.path for one in found if isinstance(one, FoundFile)], processes, progress)
    documents: dict[str, Document] = {}
    skipped: list[Unreadable] = []
    warnings: list[ReadWarning] = []
    with closing(outcomes):
        for one in found:
            read = _read(one, next(outcomes), on_error) if isinstance(one, FoundFile) else one
            if isinstance(read, Unreadable):
                skipped.append(read)
                continue
            document, about = read
            warnings += about
            known = documents.setdefault(document.id, document)
            if known.text != document.text:
                raise DocumentError(
                    f"two documents have the id {document.id!r} and different texts",
                    remedy="give each an id of its own",
                )
    return ReadResult(list(documents.values()), skipped, list(dict.fromkeys(warnings)))


def _find(
    sources: Iterable[Source], on_error: OnError, max_file_bytes: int
) -> Iterator[FoundFile | Unreadable | _Read]:
    """Find the files to extract in the order of their sources; what needs no extraction comes as it is."""
    seen: set[FileKey] = set()
    for source in sources:
        if isinstance(source, Document):
            yield source, []
        elif _is_pipe(source):
            with Path(source).open("rb") as stream:
                yield read_stream(stream, Path(source).as_posix(), max_file_bytes, on_error)
        else:
            for found in find_files(source):
                if (one := _checked(found, seen, on_error, max_file_bytes)) is not None:
                    yield one


def _checked(
    found: FoundFile, seen: set[FileKey], on_error: OnError, max_file_bytes: int
) -> FoundFile | Unreadable | None:
    """Return a file that can be extracted, why it is passed over, or nothing if another path led to it before."""
    try:
        key = same_file_key(found.path)  # raises for a broken link
        if key in seen:
            return None
        seen.add(key)
        if not found.named and (kind := kind_of_name(found.path)) is not None:
            return Unreadable(_written_path(found.path), f"it is {kind}")
        _check_size(found.path, max_file_bytes)
    except (DocumentError, OSError) as error:
        return _without_text(found, error, on_error)
    return found


def _check_size(path: Path, max_file_bytes: int) -> None:
    if not path.is_file():
        raise DocumentError("it is neither a file nor a folder")
    size = path.stat().st_size
    if size > max_file_bytes:
        raise DocumentError(
            f"it has {size:,} bytes and the limit is {max_file_bytes:,}",
            remedy=["split it", f"raise {setting('max_file_bytes')}"],
        )


def _read(found: FoundFile, outcome: Outcome, on_error: OnError) -> _Read | Unreadable:
    try:
        if not isinstance(outcome, Extracted):
            raise outcome
        metadata = {"path": str(found.path), "bytes": found.path.stat().st_size}
        return document_of_file(outcome, _written_path(found.path), metadata, on_error)
    except (DocumentError, ImportError, OSError) as error:
        return _without_text(found, error, on_error)


def _without_text(found: FoundFile, error: DocumentError | ImportError | OSError, on_error: OnError) -> Unreadable:
    """List a file that was not read, or raise the error of one that should have been."""
    if (kind := _kind_of_unreadable(found)) is not None:
        return Unreadable(_written_path(found.path), f"it is {kind}")
    if on_error == "skip":
        return Unreadable(_written_path(found.path), str(error))
    raise _unreadable(found.path, error) from error


def _written_path(path: Path) -> str:
    """Return a path in Unicode, with the bytes of a name that is not Unicode escaped."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _kind_of_unreadable(found: FoundFile) -> str | None:
    """What a file of a folder or glob is by its content, if it is known not to be text.

    A file whose suffix has a reader is a document, however it begins: Word files are archives, too.
    """
    try:
        is_document = found.named or has_reader(found.path) or not found.path.is_file()
        return None if is_document else kind_of_content(found.path)
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

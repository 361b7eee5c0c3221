"""Loading of documents from paths, globs and folders.

A folder is walked in sorted order. Hidden files and folders, folders that never hold documents (`node_modules`,
`__pycache__`, …) and whatever the folder's `.gitignore` excludes are left out. A file that cannot be read raises an
error that names it; with `on_error="skip"` it is listed in the result instead.
"""

import glob
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pathspec

from ...errors import DocumentError, ReadingWarning, setting
from .document import Document
from .extracted import Extracted, ExtractionWarning
from .formats import extract_text
from .places import DocumentPlaces

__all__ = ["ReadResult", "ReadWarning", "Source", "Unreadable", "read_documents", "warn_of_losses"]

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
class ReadWarning:
    """What is missing in the text of a file that was read, or was guessed.

    Attributes:
        path: of the file.
        message: a sentence that names the place.
        place: such as `"page 3"`; empty for the whole file.
    """

    path: str
    message: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True)
class ReadResult:
    """The documents, in the order of their sources, the files that were skipped, and what was lost or guessed."""

    documents: list[Document]
    skipped: list[Unreadable]
    warnings: list[ReadWarning] = field(default_factory=list)


def read_documents(
    sources: Source | Iterable[Source],
    *,
    on_error: Literal["raise", "skip"] = "raise",
    max_file_bytes: int = MAX_FILE_BYTES,
) -> ReadResult:
    """Read files, folders and globs.

    Args:
        sources: paths, globs (`docs/**/*.md`) and `Document`s. A string is a path or a glob, never text.
        on_error: raise an error for a file that cannot be read or not in full, such as a page that is a picture of
            text; or skip such files, and report in the warnings what is missing of others.
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
    noted: list[ReadWarning] = []
    for source in sources:
        for document in _load(source, on_error, max_file_bytes, skipped, noted):
            known = documents.setdefault(document.id, document)
            if known.text != document.text:
                raise DocumentError(
                    f"two documents have the id {document.id!r} and different texts",
                    remedy="give each an id of its own",
                )
    return ReadResult(list(documents.values()), skipped, list(dict.fromkeys(noted)))


def _load(
    source: Source, on_error: str, max_file_bytes: int, skipped: list[Unreadable], noted: list[ReadWarning]
) -> Iterator[Document]:
    if isinstance(source, Document):
        yield source
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
            extracted = extract_text(path)
            found = _warnings(path, extracted, on_error)
        except (DocumentError, OSError) as error:
            if on_error == "skip":
                skipped.append(Unreadable(_written_path(path), str(error)))
                continue
            raise _unreadable(path, error) from error
        noted += found
        places = DocumentPlaces(tuple(extracted.places), extracted.is_file_text, extracted.double_line_ends)
        metadata = {"path": str(path), "bytes": size}
        yield Document(extracted.text, _written_path(path), metadata, places)


def _warnings(path: Path, extracted: Extracted, on_error: str) -> list[ReadWarning]:
    """Return the warnings of a file.

    Raises:
        DocumentError: text is missing, and the caller does not accept this.
    """
    found = [one if isinstance(one, ExtractionWarning) else ExtractionWarning(one) for one in extracted.warnings]
    lost = [one for one in found if one.is_loss]
    if lost and on_error != "skip":
        more = f", and so on {len(lost) - 1} more places" if len(lost) > 1 else ""
        raise DocumentError(
            f"{lost[0].message}{more}",
            remedy=["run text recognition first", f"read what is readable with {setting('on_error', 'skip')}"],
        )
    return [ReadWarning(_written_path(path), one.message, one.place) for one in found]


def _written_path(path: Path) -> str:
    """Return a path in Unicode, with the bytes of a name that is not Unicode escaped."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _unreadable(path: Path, error: DocumentError | OSError) -> DocumentError:
    what, remedies = (error.what, error.remedies) if isinstance(error, DocumentError) else (str(error), ())
    skip = setting("on_error", "skip")
    own_ways = remedies or ("repair it",)
    ways = own_ways if any(skip in way for way in own_ways) else (*own_ways, f"skip it with {skip}")
    return DocumentError(f"{_written_path(path)} cannot be read: {what}", remedy=ways)


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


def _ignored(folder: Path) -> pathspec.GitIgnoreSpec:
    rules = folder / ".gitignore"
    lines = rules.read_text(encoding="utf-8", errors="replace").splitlines() if rules.is_file() else []
    return pathspec.GitIgnoreSpec.from_lines(lines)


def warn_of_losses(found: Sequence[ReadWarning]) -> None:
    """Give one Python warning about all files of a reading, for callers that do not look at the result's warnings."""
    if found:
        more = f" ({len(found) - 1} more in library.warnings)" if len(found) > 1 else ""
        warnings.warn(ReadingWarning(f"{found[0]}{more}"), stacklevel=2)

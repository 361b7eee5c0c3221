"""A handle on a set of documents, whose `repr` shows a fingerprint and no text.

Frameworks write arguments into traces, logs and cache keys; a handle keeps the documents' text out of them.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count, groupby
from pathlib import Path
from threading import RLock
from typing import Any, Self

from sharedllm_core import Document, DocumentError, InputError, Library, SharedLLMEngine
from sharedllm_core.text.documents import DocumentPlaces
from sharedllm_core.text.documents import read_documents as read_files
from sharedllm_core.text.documents.file_text import warn_of_losses

from .chunk_cache import ChunkCache
from .errors import worded_errors

__all__ = ["DocumentSet", "documents_given_twice", "joined_library", "text_set", "unique_id", "with_unique_ids"]


class DocumentSet:
    """A set of documents, read when they are needed.

    Args:
        sources: paths and globs, documents of the framework, sharedllm's, a `Library`, or a list of these.

    Raises:
        DocumentError: when the documents are needed, for one that cannot be read.
    """

    kinds = "paths, Documents, or a Library"

    def __init__(self, sources: Any) -> None:
        self._sources = sources
        self._documents: tuple[Document, ...] | None = None
        self._fingerprint: str | None = None
        self._libraries: dict[Any, Library] = {}
        self._lock = RLock()  # calls that arrive together read and tokenize once

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    @classmethod
    def wrap(cls, sources: Any) -> Self | None:
        """Return `sources` under a handle, if they are not under one yet; `None` for `None`."""
        return sources if sources is None or isinstance(sources, cls) else cls(sources)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The documents, read; each has an id of its own."""
        with self._lock, worded_errors():
            if self._documents is None:
                self._documents = self._read_all()
            return self._documents

    @property
    def notes(self) -> dict[str, dict[str, Any]]:
        """What responses report of documents, such as missing parts, by document id."""
        return {}

    @property
    def fingerprint(self) -> str:
        """A short stable hash of ids and texts in their order."""
        with self._lock:
            if self._fingerprint is None:
                library = self._sources if isinstance(self._sources, Library) else Library(self.documents)
                self._fingerprint = library.fingerprint
            return self._fingerprint

    @worded_errors()
    def library(self, engine: SharedLLMEngine) -> Library:
        """Return the documents tokenized for `engine`; made once per tokenizer and method.

        Raises:
            DocumentError: there are none, or none with text.
        """
        key = (engine.tokenizer.fingerprint, engine.method)
        with self._lock:
            if key not in self._libraries:
                is_library = isinstance(self._sources, Library)
                if not is_library and not self.documents:
                    raise DocumentError(
                        f"there are no documents in {self._sources!r:.200}", remedy=f"give {self.kinds}"
                    )
                self._libraries[key] = self._sources if is_library else self._tokenize(engine)
            return self._libraries[key]

    def _tokenize(self, engine: SharedLLMEngine) -> Library:
        return engine.library(list(self.documents))

    def _read_all(self) -> tuple[Document, ...]:
        if isinstance(self._sources, Library):
            return self._sources.documents
        is_single = isinstance(self._sources, str | Path | Document) or self._is_foreign(self._sources)
        is_list = isinstance(self._sources, Iterable) and not is_single
        return tuple(with_unique_ids(self._read(self._sources if is_list else [self._sources])))

    def _read(self, sources: Iterable[Any]) -> Iterable[Document]:
        for kind, group in groupby(sources, self._kind):
            if kind == "foreign":
                yield from self._convert_foreign(list(group))
            elif kind == "library":
                yield from (document for library in group for document in library.documents)
            elif kind == "document":
                yield from group
            else:
                read = read_files(list(group))
                warn_of_losses(read.warnings)
                yield from read.documents

    def _kind(self, source: Any) -> str:
        """How a source is read. Those of one kind that stand next to each other are read together."""
        if self._is_foreign(source):
            return "foreign"
        if isinstance(source, Library):
            return "library"
        if isinstance(source, Document):
            return "document"
        if isinstance(source, str | Path):
            return "path"
        raise DocumentError(f"{type(source).__name__} is no document", remedy=f"give {self.kinds}")

    def _is_foreign(self, source: Any) -> bool:
        """Whether a source is a document of the framework."""
        return False

    def _convert_foreign(self, sources: list[Any]) -> Iterable[Document]:
        """Convert documents of the framework that stand next to each other in the sources."""
        return []

    def __repr__(self) -> str:
        try:
            return f"DocumentSet({self.fingerprint})"
        except Exception:  # whatever a source raises: debuggers and traces call this
            return "DocumentSet(of documents that cannot be read)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DocumentSet) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


class _TextSet(DocumentSet):
    """A set of texts, some of which other sets may hold too."""

    def _tokenize(self, engine: SharedLLMEngine) -> Library:
        return _chunk_cache.library(engine, self.documents)


_chunk_cache = ChunkCache()


def text_set(documents: Iterable[Document]) -> DocumentSet:
    """Return a set of documents without their metadata.

    Texts that come again with the next question, in any order, are not tokenized again.
    """
    return _text_set(tuple((document.id, document.text, document.places) for document in documents))


@lru_cache(maxsize=8)
def _text_set(parts: tuple[tuple[str, str, DocumentPlaces], ...]) -> DocumentSet:
    return _TextSet([Document(text, id=name, places=places) for name, text, places in parts])


def with_unique_ids(documents: Iterable[Document], taken: Collection[str] = ()) -> list[Document]:
    """Return documents with ids that differ from each other's and from those in `taken`."""
    ids = set(taken)
    unique: list[Document] = []
    for document in documents:
        name = unique_id(document.id, ids)
        ids.add(name)
        kept = name == document.id
        unique.append(document if kept else replace(document, id=name))
    return unique


def unique_id(wanted: str, taken: Collection[str]) -> str:
    """Return an id that no other document has: a loader gives every page of a file the same source."""
    if wanted not in taken:
        return wanted
    return next(other for number in count(2) if (other := f"{wanted} ({number})") not in taken)


def joined_library(engine: SharedLLMEngine, documents: DocumentSet | None, found: Sequence[Document]) -> Library | None:
    """Tokenize given documents and those found in messages as one library; `None` where there are neither."""
    library = None if documents is None else documents.library(engine)
    if not found:
        return library
    found_library = text_set(found).library(engine)
    return found_library if library is None else library.joined(found_library)


def documents_given_twice() -> InputError:
    """Return the error for documents that both the model and the call have."""
    return InputError("documents are given to the model and to the call", remedy="give them in one of these places")

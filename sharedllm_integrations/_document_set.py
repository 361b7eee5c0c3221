"""The handle under which a framework sees documents: traces, logs and cache keys get its fingerprint, and no text."""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any, Self

from sharedllm_core import Document, DocumentError, Library, SharedLLMEngine
from sharedllm_core.text.documents import read_documents as read_files

from ._known_texts import KnownTexts

__all__ = ["DocumentSet", "free_name", "joined_library", "known_set"]


class DocumentSet:
    """A set of documents, read when they are needed.

    Args:
        sources: paths and globs, documents of the framework, ours, a `Library`, or a list of these.

    Raises:
        DocumentError: when the documents are needed: one that cannot be read.
    """

    kinds = "paths, Documents, or a Library"

    def __init__(self, sources: Any) -> None:
        self._sources = sources
        self._documents: tuple[Document, ...] | None = None
        self._fingerprint: str | None = None
        self._libraries: dict[Any, Library] = {}
        self._lock = RLock()  # calls that arrive together read and tokenise once

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())

    @classmethod
    def of(cls, sources: Any) -> Self | None:
        """`sources` under a handle, if they are not under one yet; `None` for `None`."""
        return sources if sources is None or isinstance(sources, cls) else cls(sources)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The documents, read; each has an id of its own."""
        with self._lock:
            if self._documents is None:
                self._documents = self._all()
            return self._documents

    def _all(self) -> tuple[Document, ...]:
        if isinstance(self._sources, Library):
            return self._sources.documents
        one = isinstance(self._sources, str | Path | Document) or self._is_foreign(self._sources)
        listed = isinstance(self._sources, Iterable) and not one
        taken: set[str] = set()
        found: list[Document] = []
        for document in self._read(self._sources if listed else [self._sources]):
            name = free_name(document.id, taken)
            taken.add(name)
            same = name == document.id
            found.append(document if same else Document(document.text, id=name, metadata=document.metadata))
        return tuple(found)

    @property
    def notes(self) -> dict[str, dict[str, Any]]:
        """What is to be said of documents, such as what is missing of them, by their ids."""
        return {}

    @property
    def fingerprint(self) -> str:
        """A short stable hash of ids and texts in their order."""
        with self._lock:
            if self._fingerprint is None:
                library = self._sources if isinstance(self._sources, Library) else Library(self.documents)
                self._fingerprint = library.fingerprint
            return self._fingerprint

    def library(self, engine: SharedLLMEngine) -> Library:
        """As `engine` takes them; made once for each tokenizer and size of chunk.

        Raises:
            DocumentError: there are none, or none with text.
        """
        key = (engine.tokenizer.fingerprint, engine.model.method)
        with self._lock:
            if key not in self._libraries:
                same = isinstance(self._sources, Library)
                if not same and not self.documents:
                    raise DocumentError(f"there are no documents in {self._sources!r:.200}; give {self.kinds}")
                self._libraries[key] = self._sources if same else self._tokenised(engine)
            return self._libraries[key]

    def _tokenised(self, engine: SharedLLMEngine) -> Library:
        return engine.library(list(self.documents))

    def _read(self, sources: Iterable[Any]) -> Iterable[Document]:
        foreign: list[Any] = []
        for source in sources:
            if self._is_foreign(source):
                foreign.append(source)
                continue
            yield from self._converted(foreign)
            foreign = []
            if isinstance(source, Library):
                yield from source.documents
            elif isinstance(source, str | Path | Document):
                yield from read_files(source).documents
            else:
                raise DocumentError(f"{type(source).__name__} is no document; give {self.kinds}")
        yield from self._converted(foreign)

    def _converted(self, foreign: list[Any]) -> Iterable[Document]:
        return self._foreign(foreign) if foreign else []

    def _is_foreign(self, source: Any) -> bool:
        """Whether a source is a document of the framework."""
        return False

    def _foreign(self, sources: list[Any]) -> Iterable[Document]:
        """Documents of the framework as ours."""
        return []

    def __repr__(self) -> str:
        try:
            return f"DocumentSet({self.fingerprint})"
        except Exception:  # whatever a source raises: debuggers and traces ask for this
            return "DocumentSet(of documents that cannot be read)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DocumentSet) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


class _TextSet(DocumentSet):
    """A set of texts of which another set may have had some."""

    def _tokenised(self, engine: SharedLLMEngine) -> Library:
        return _texts.library(engine, self.documents)


_texts = KnownTexts()


@lru_cache(maxsize=8)
def known_set(ids: tuple[str, ...], texts: tuple[str, ...]) -> DocumentSet:
    """A set of texts: the same ones come again with every question, and need not be tokenised again in any order."""
    return _TextSet([Document(text, id=name) for name, text in zip(ids, texts, strict=True)])


def free_name(name: str, taken: Collection[str]) -> str:
    """A name that no other document has: a loader gives every page of a file the same source."""
    if name not in taken:
        return name
    return next(other for number in count(2) if (other := f"{name} ({number})") not in taken)


def joined_library(engine: SharedLLMEngine, documents: DocumentSet | None, found: Sequence[Document]) -> Library | None:
    """Documents that are given, and those found in messages, as `engine` takes them; `None` where there are neither."""
    library = None if documents is None else documents.library(engine)
    if not found:
        return library
    of_messages = known_set(tuple(one.id for one in found), tuple(one.text for one in found)).library(engine)
    return of_messages if library is None else library.joined(of_messages)

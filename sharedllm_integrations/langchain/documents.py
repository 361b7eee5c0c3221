"""Documents of LangChain and of ours, and the handle under which LangChain sees them."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document as LangChainDocument

from sharedllm_core import Document, DocumentError, Library, SharedLLMEngine
from sharedllm_core.documents import read_documents as read_files

__all__ = ["DocumentSet", "read_documents"]


class DocumentSet:
    """A set of documents that LangChain may see: traces, logs and cache keys get its fingerprint, and no text.

    Args:
        sources: paths and globs, LangChain's Documents, ours, a `Library`, or a list of these.

    Raises:
        DocumentError: when the documents are needed: one that cannot be read.
    """

    def __init__(self, sources: Any) -> None:
        self._sources = sources
        self._libraries: dict[Any, Library] = {}

    @classmethod
    def of(cls, sources: Any) -> "DocumentSet | None":
        """`sources` under a handle, if they are not under one yet; `None` for `None`."""
        return sources if sources is None or isinstance(sources, DocumentSet) else cls(sources)

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """The documents, read."""
        if isinstance(self._sources, Library):
            return self._sources.documents
        return tuple(_documents(self._sources))

    @cached_property
    def fingerprint(self) -> str:
        """A short stable hash of ids and texts in their order."""
        library = self._sources if isinstance(self._sources, Library) else Library(self.documents)
        return library.fingerprint

    def library(self, engine: SharedLLMEngine) -> Library:
        """As `engine` takes them; made once for each tokenizer and size of chunk."""
        key = (engine.tokenizer.fingerprint, engine.model.method)
        if key not in self._libraries:
            same = isinstance(self._sources, Library)
            self._libraries[key] = self._sources if same else engine.library(list(self.documents))
        return self._libraries[key]

    def __repr__(self) -> str:
        return f"DocumentSet({self.fingerprint})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DocumentSet) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


def read_documents(
    loader_or_paths: BaseLoader | str | Path | Iterable[str | Path | BaseLoader],
) -> list[LangChainDocument]:
    """Whole documents as LangChain has them, each with its `id` and metadata.

    Args:
        loader_or_paths: a loader of LangChain, a file, folder or glob, or several of these. Files are read by this
            library: text, Markdown, code, HTML, PDF, Word, tables, notebooks.

    Raises:
        DocumentError: a path that does not exist, or a file that cannot be read.
    """
    sources = [loader_or_paths] if isinstance(loader_or_paths, BaseLoader | str | Path) else loader_or_paths
    read: list[LangChainDocument] = []
    for source in sources:
        if isinstance(source, BaseLoader):
            read += source.load()
            continue
        for document in read_files(source).documents:
            metadata = {"source": document.id, **document.metadata}
            read.append(LangChainDocument(document.text, id=document.id, metadata=metadata))
    return read


def _documents(sources: Any) -> Iterable[Document]:
    listed = isinstance(sources, Iterable) and not isinstance(sources, str | Path | Document | LangChainDocument)
    taken: set[str] = set()
    for source in sources if listed else [sources]:
        if isinstance(source, Library):
            found: Sequence[Document] = source.documents
        elif isinstance(source, LangChainDocument):
            found = [_from_langchain(source)]
        elif isinstance(source, str | Path | Document):
            found = read_files(source).documents
        else:
            raise DocumentError(
                f"{type(source).__name__} is no document; give paths, LangChain's Documents, sharedllm's, or a Library"
            )
        for document in found:
            name = _free(document.id, taken)
            taken.add(name)
            yield document if name == document.id else Document(document.text, id=name, metadata=document.metadata)


def _from_langchain(document: LangChainDocument) -> Document:
    name = document.id or document.metadata.get("source") or document.metadata.get("title") or "document"
    return Document(document.page_content, id=str(name), metadata=dict(document.metadata))


def _free(name: str, taken: set[str]) -> str:
    """A name that no other document has: a loader gives every page of a file the same source."""
    if name not in taken:
        return name
    return next(other for number in count(2) if (other := f"{name} ({number})") not in taken)

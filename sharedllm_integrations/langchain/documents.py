"""Documents of LangChain and of sharedllm, and the handle under which LangChain sees them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document as LangChainDocument
from pydantic import PrivateAttr

from sharedllm_core import Document
from sharedllm_core.text.documents import DocumentPlaces
from sharedllm_core.text.documents import read_documents as read_files
from sharedllm_core.text.documents.file_text import warn_of_losses

from .._shared import document_set
from .._shared.errors import worded_errors

__all__ = ["DocumentSet", "from_langchain", "read_documents"]


class DocumentSet(document_set.DocumentSet):
    """A set of documents that LangChain may see: traces, logs and cache keys get its fingerprint, and no text.

    Args:
        sources: paths and globs, LangChain's Documents, sharedllm's, a `Library`, or a list of these.

    Raises:
        DocumentError: when the documents are needed, for one that cannot be read.
    """

    kinds = "paths, LangChain's Documents, sharedllm's, or a Library"

    def _is_foreign(self, source: Any) -> bool:
        return isinstance(source, LangChainDocument)

    def _convert_foreign(self, sources: list[Any]) -> Iterable[Document]:
        return [from_langchain(source) for source in sources]


class _FileDocument(LangChainDocument):
    """A document that knows its places in its file, for as long as its text is the file's."""

    _text: str = PrivateAttr("")
    _places: DocumentPlaces = PrivateAttr(DocumentPlaces())

    @classmethod
    def of(cls, document: Document) -> "_FileDocument":
        """Convert a document that was read from a file."""
        metadata = {"source": document.id, **document.metadata}
        made = cls(page_content=document.text, id=document.id, metadata=metadata)
        made._text, made._places = document.text, document.places
        return made

    @property
    def places(self) -> DocumentPlaces:
        """The places; none once the text was changed."""
        return self._places if self.page_content == self._text else DocumentPlaces()


@worded_errors()
def read_documents(
    loader_or_paths: BaseLoader | str | Path | Iterable[str | Path | BaseLoader],
) -> list[LangChainDocument]:
    """Read whole documents into LangChain's Documents, each with its `id` and metadata.

    Evidence from them names pages, rows and headings of the files, also from copies whose text is the same.

    Args:
        loader_or_paths: a loader of LangChain, a file, folder or glob, or several of these. This library reads the
            files: text, Markdown, code, HTML, PDF, Word, tables, notebooks.

    Raises:
        DocumentError: a path that does not exist, or a file that cannot be read.
    """
    sources = [loader_or_paths] if isinstance(loader_or_paths, BaseLoader | str | Path) else loader_or_paths
    read: list[LangChainDocument] = []
    for source in sources:
        if isinstance(source, BaseLoader):
            read += source.load()
            continue
        files = read_files(source)
        warn_of_losses(files.warnings)
        read += [_FileDocument.of(document) for document in files.documents]
    return read


def from_langchain(document: LangChainDocument) -> Document:
    """Convert a document, named by its id, source or title."""
    name = document.id or document.metadata.get("source") or document.metadata.get("title") or "document"
    places = document.places if isinstance(document, _FileDocument) else DocumentPlaces()
    return Document(document.page_content, id=str(name), metadata=dict(document.metadata), places=places)

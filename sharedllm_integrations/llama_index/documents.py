"""Documents as LlamaIndex has them, and the handle under which its traces see them."""

from collections.abc import Iterable
from typing import Any

from llama_index.core.schema import BaseNode, NodeWithScore

from sharedllm_core import Document, Library, WindowError

from .. import _document_set
from .whole_documents import WholeDocument, whole_documents

__all__ = ["DocumentSet", "Handle", "check_size"]


class DocumentSet(_document_set.DocumentSet):
    """A set of documents that LlamaIndex may see: events, logs and payloads get its fingerprint, and no text.

    Args:
        sources: paths and globs, LlamaIndex's Documents and nodes (which are put together to whole documents), ours, a
            `Library`, or a list of these.

    Raises:
        DocumentError, InputError: when the documents are needed: one that cannot be read.
    """

    kinds = "paths, LlamaIndex's Documents or nodes, sharedllm's Documents, or a Library"

    def __init__(self, sources: Any) -> None:
        super().__init__(sources)
        self._notes: dict[str, dict[str, Any]] = {}

    @property
    def notes(self) -> dict[str, dict[str, Any]]:
        """What is to be said of documents that were put together from nodes, by their ids."""
        _ = self.documents
        return self._notes

    def _is_foreign(self, source: Any) -> bool:
        return isinstance(source, BaseNode | NodeWithScore)

    def _foreign(self, sources: list[Any]) -> Iterable[Document]:
        nodes = [source.node if isinstance(source, NodeWithScore) else source for source in sources]
        return [self._document(whole) for whole in whole_documents(nodes)]

    def _document(self, whole: WholeDocument) -> Document:
        if whole.notes:
            self._notes[whole.id] = whole.notes
        return Document(whole.text, id=whole.id, metadata=dict(whole.metadata))


class Handle(str):
    """A set of documents that events can write down: as text, it is the set's fingerprint."""

    __slots__ = ("documents",)

    documents: _document_set.DocumentSet

    @classmethod
    def of(cls, sources: Any) -> "Handle | None":
        """`sources` under a handle; `None` for `None`."""
        if sources is None or isinstance(sources, Handle):
            return sources
        documents = sources if isinstance(sources, _document_set.DocumentSet) else DocumentSet(sources)
        made = cls(f"documents {documents.fingerprint}")
        made.documents = documents
        return made


def check_size(library: Library | None, context_window: int) -> None:
    """Check that documents are not too many to be answered from.

    Raises:
        WindowError: they are.
    """
    if library is not None and library.num_tokens > context_window:
        raise WindowError(
            f"the {len(library)} documents have {library.num_tokens:,} tokens, and context_window is "
            f"{context_window:,}; choose among them (FullDocumentRetriever), or allow more: "
            "SharedLLM(context_window=…)"
        )

"""Documents of LlamaIndex, and the handle under which its events see them."""

from collections.abc import Iterable
from typing import Any

from llama_index.core.schema import BaseNode, NodeWithScore

from sharedllm_core import Document, Library, WindowError

from .._shared import document_set
from .rebuild.whole_documents import WholeDocument, whole_documents

__all__ = ["DocumentHandle", "DocumentSet", "check_size"]


class DocumentSet(document_set.DocumentSet):
    """A set of documents that LlamaIndex may see: events, logs and payloads get its fingerprint, and no text.

    Args:
        sources: paths and globs, LlamaIndex's Documents and nodes (whole documents are rebuilt from these),
            sharedllm's, a `Library`, or a list of these.

    Raises:
        DocumentError, InputError: when the documents are needed, for one that cannot be read.
    """

    kinds = "paths, LlamaIndex's Documents or nodes, sharedllm's Documents, or a Library"

    def __init__(self, sources: Any) -> None:
        super().__init__(sources)
        self._notes: dict[str, dict[str, Any]] = {}

    @property
    def notes(self) -> dict[str, dict[str, Any]]:
        """What responses report of documents that were rebuilt from nodes, by document id."""
        _ = self.documents
        return self._notes

    def _is_foreign(self, source: Any) -> bool:
        return isinstance(source, BaseNode | NodeWithScore)

    def _convert_foreign(self, sources: list[Any]) -> Iterable[Document]:
        nodes = [source.node if isinstance(source, NodeWithScore) else source for source in sources]
        return [self._document(whole) for whole in whole_documents(nodes)]

    def _document(self, whole: WholeDocument) -> Document:
        if whole.notes:
            self._notes[whole.id] = whole.notes
        return Document(whole.text, id=whole.id, metadata=dict(whole.metadata))


class DocumentHandle(str):
    """A set of documents that events can serialize: as a string, it is the set's fingerprint."""

    __slots__ = ("documents",)

    documents: document_set.DocumentSet

    @classmethod
    def wrap(cls, sources: Any) -> "DocumentHandle | None":
        """Return `sources` under a handle, for which they are read; `None` for `None`."""
        if sources is None or isinstance(sources, DocumentHandle):
            return sources
        documents = sources if isinstance(sources, document_set.DocumentSet) else DocumentSet(sources)
        handle = cls(f"documents {documents.fingerprint}")
        handle.documents = documents
        return handle


def check_size(library: Library | None, context_window: int | None) -> None:
    """Check that documents fit a limit.

    Args:
        library: the documents, if there are any.
        context_window: the most tokens of documents; `None` for no limit.

    Raises:
        WindowError: they have more tokens.
    """
    if library is not None and context_window is not None and library.num_tokens > context_window:
        raise WindowError(
            f"the {len(library)} documents have {library.num_tokens:,} tokens",
            limit=f"and context_window is {context_window:,}",
            remedy=["choose among them (FullDocumentRetriever)", "allow more: SharedLLM(context_window=…)"],
        )

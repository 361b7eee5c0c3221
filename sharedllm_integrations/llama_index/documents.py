"""Documents as LlamaIndex has them, and the handle under which its traces see them."""

from collections.abc import Iterable, Sequence
from typing import Any

from llama_index.core.schema import BaseNode, NodeWithScore

from sharedllm_core import Document, Library, WindowError

from .. import _document_set
from .whole_documents import WholeDocument, whole_documents

__all__ = ["DocumentSet", "Handle", "check_size", "set_of"]


class DocumentSet(_document_set.DocumentSet):
    """A set of documents that LlamaIndex may see: events, logs and payloads get its fingerprint, and no text.

    Args:
        sources: paths and globs, LlamaIndex's Documents and nodes (which are put together to whole documents), ours, a
            `Library`, or a list of these.

    Raises:
        DocumentError, InputError: when the documents are needed: one that cannot be read.
    """

    kinds = "paths, LlamaIndex's Documents or nodes, sharedllm's Documents, or a Library"

    def _foreign(self, sources: list[Any]) -> Iterable[Document] | None:
        if not all(isinstance(source, BaseNode | NodeWithScore) for source in sources):
            return None
        nodes = [source.node if isinstance(source, NodeWithScore) else source for source in sources]
        return [_document(whole) for whole in whole_documents(nodes)]


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


def set_of(documents: Sequence[WholeDocument]) -> _document_set.DocumentSet:
    """Rebuilt documents as a set; the same ones are not tokenised again."""
    return _document_set.known_set(tuple(one.id for one in documents), tuple(one.text for one in documents))


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


def _document(whole: WholeDocument) -> Document:
    return Document(whole.text, id=whole.id, metadata=dict(whole.metadata))

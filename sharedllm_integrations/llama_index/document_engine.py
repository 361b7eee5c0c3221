"""What both engines share: they are made from documents or from an index, and read them before the first question."""

from collections.abc import Sequence
from typing import Any, Self

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.indices.base import BaseIndex
from llama_index.core.llms import LLM
from llama_index.core.schema import BaseNode, QueryBundle

from sharedllm_core import Library

from .._shared.errors import worded_errors
from .documents import check_size
from .retrievers import EverythingRetriever, FullDocumentRetriever
from .synthesizer import SharedLLMSynthesizer

__all__ = ["DocumentEngine"]


class DocumentEngine:
    """An engine over whole documents. Its constructor takes a retriever, `llm`, and options of the synthesizer."""

    _retriever: BaseRetriever

    @classmethod
    def from_documents(cls, documents: Any, llm: LLM | None = None, *, read: bool = True, **options: Any) -> Self:
        """Make an engine over documents, without an index or embeddings.

        Args:
            documents: of LlamaIndex; or paths, globs, Documents of sharedllm, or a `Library`.
            llm: a `SharedLLM`; by default that of `Settings`, or the packaged model.
            read: read and compress the documents now, before the first question.
            options: of the class.

        Raises:
            InputError: documents that hold no text.
            WindowError: more documents than the model's `context_window`.
        """
        retriever, preloaded = _document_sources(documents)
        return cls._made(retriever, read, llm=llm, **preloaded, **options)

    @classmethod
    def from_index(
        cls,
        index: BaseIndex[Any],
        llm: LLM | None = None,
        *,
        retriever: BaseRetriever | None = None,
        read: bool | None = None,
        **options: Any,
    ) -> Self:
        """Make an engine over the documents of an index, including those that are inserted later.

        Args:
            index: any that keeps its nodes; its embeddings are not used.
            llm: a `SharedLLM`; by default that of `Settings`, or the packaged model.
            retriever: chooses documents for each question, such as `index.as_retriever()`; all of each are used. By
                default every document is.
            read: read and compress all documents now, before the first question; otherwise each question encodes what
                it retains of documents that are not cached. By default `True`, and `False` with a retriever.
            options: of the class.

        Raises:
            InputError: an index whose nodes cannot be listed, or hold no text.
            WindowError: more documents than the model's `context_window`.
        """
        chosen = EverythingRetriever(index) if retriever is None else FullDocumentRetriever(retriever, index)
        read_now = retriever is None if read is None else read
        return cls._made(chosen, read_now, llm=llm, original=chosen.kept.original, **options)

    @classmethod
    def _made(cls, retriever: BaseRetriever, read: bool, **options: Any) -> Self:
        constructor: Any = cls
        engine: Self = constructor(retriever, **options)
        if read:
            engine.read()
        return engine

    @worded_errors()
    def read(self) -> Library | None:
        """Read and compress all documents now, before the first question; cached ones cost nothing.

        Returns:
            The documents that the retriever can return; `None` if there are none.

        Raises:
            InputError: the engine has another synthesizer, which cannot read ahead.
            WindowError: more documents than the model's `context_window`.
        """
        synthesizer = self._document_synthesizer()
        kept = getattr(self._retriever, "kept", None)
        retriever = EverythingRetriever(kept) if kept is not None else self._retriever
        sources = synthesizer.sources(retriever.retrieve(QueryBundle("")))
        if sources.handle is None:
            return None
        engine = synthesizer.llm.get_engine()
        library = sources.handle.documents.library(engine)
        if not isinstance(self._retriever, FullDocumentRetriever):
            check_size(library, synthesizer.llm.context_window)
        return engine.read(library)

    def _document_synthesizer(self) -> SharedLLMSynthesizer:
        """The synthesizer, which rebuilds documents from nodes."""
        raise NotImplementedError


def _document_sources(documents: Any) -> tuple[BaseRetriever, dict[str, Any]]:
    """A retriever of LlamaIndex's documents; documents of other types are options of the synthesizer."""
    if isinstance(documents, BaseNode):
        documents = [documents]
    if isinstance(documents, Sequence) and all(isinstance(one, BaseNode) for one in documents):
        return EverythingRetriever(documents), {}
    return EverythingRetriever([]), {"documents": documents}

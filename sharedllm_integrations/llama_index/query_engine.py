"""`SharedLLMQueryEngine`: questions to whole documents, of an index or without one."""

from collections.abc import Sequence
from typing import Any, Self

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.indices.base import BaseIndex
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import BaseNode, QueryBundle

from sharedllm_core import InputError, Library

from .documents import check_size
from .retrievers import EverythingRetriever, FullDocumentRetriever
from .synthesizer import SharedLLMSynthesizer

__all__ = ["SharedLLMQueryEngine", "of_documents", "of_index", "read_all", "reads_at_once"]


class SharedLLMQueryEngine(RetrieverQueryEngine):
    """A query engine whose answers come from whole documents.

    Args:
        retriever: hands over nodes; the documents are put together from them.
        response_synthesizer: by default a `SharedLLMSynthesizer`, made from `llm` and `options`.
        node_postprocessors: between the two.
        callback_manager: as everywhere in LlamaIndex.
        llm: a `SharedLLM`; by default that of `Settings`, or the model of the package.
        options: of `SharedLLMSynthesizer`: `documents`, `streaming`, `output_cls`, `text_qa_template`, …

    Raises:
        InputError: `llm` is another model; or there are a synthesizer and options of one.
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        response_synthesizer: BaseSynthesizer | None = None,
        node_postprocessors: list[BaseNodePostprocessor] | None = None,
        callback_manager: CallbackManager | None = None,
        *,
        llm: LLM | None = None,
        **options: Any,
    ) -> None:
        if response_synthesizer is not None and (llm is not None or options):
            given = sorted([*options, *(["llm"] if llm is not None else [])])
            raise InputError(f"{given} are of the synthesizer that is made here; give them to response_synthesizer")
        if response_synthesizer is None:
            response_synthesizer = SharedLLMSynthesizer(llm, callback_manager=callback_manager, **options)
        super().__init__(retriever, response_synthesizer, node_postprocessors, callback_manager)

    @classmethod
    def from_args(  # type: ignore[override]
        cls, retriever: BaseRetriever, llm: LLM | None = None, **options: Any
    ) -> Self:
        """As the constructor; there is no other response mode than to answer from whole documents."""
        return cls(retriever, llm=llm, **options)

    @classmethod
    def from_documents(cls, documents: Any, llm: LLM | None = None, *, read: bool = True, **options: Any) -> Self:
        """A query engine over documents, with no index and nothing embedded.

        Args:
            documents: of LlamaIndex; or paths, globs, Documents of sharedllm, or a `Library`.
            llm: a `SharedLLM`; by default that of `Settings`, or the model of the package.
            read: read and compress the documents now, so that no question has to wait for it.
            options: of the class.

        Raises:
            InputError: documents that hold no text.
            WindowError: more documents than the model's `context_window`.
        """
        retriever, preloaded = of_documents(documents)
        engine = cls(retriever, llm=llm, **preloaded, **options)
        if read:
            engine.read()
        return engine

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
        """A query engine over the documents of an index, also over those that are inserted later.

        Args:
            index: any that keeps its nodes; its embeddings are not used.
            llm: a `SharedLLM`; by default that of `Settings`, or the model of the package.
            retriever: chooses documents for each question, such as `index.as_retriever()`; all of each are read. By
                default every document is.
            read: read and compress all documents now, so that no question has to wait for it; otherwise each question
                reads what it retains of those that are new. By default yes, and no where a retriever chooses.
            options: of the class.

        Raises:
            InputError: an index whose nodes cannot be had, or hold no text.
            WindowError: more documents than the model's `context_window`.
        """
        chosen, originals = of_index(index, retriever)
        engine = cls(chosen, llm=llm, **originals, **options)
        if reads_at_once(read, retriever):
            engine.read()
        return engine

    def read(self) -> Library | None:
        """Read and compress all documents, so that no question has to wait for it; those that are known cost nothing.

        Raises:
            InputError: the engine has another synthesizer, which reads nothing beforehand.
            WindowError: they are more than the model's `context_window`.
        """
        if not isinstance(self._response_synthesizer, SharedLLMSynthesizer):
            kind = type(self._response_synthesizer).__name__
            raise InputError(f"a {kind} reads nothing beforehand; use SharedLLMSynthesizer")
        return read_all(self._retriever, self._response_synthesizer)


def of_documents(documents: Any) -> tuple[BaseRetriever, dict[str, Any]]:
    """A retriever of documents of LlamaIndex; others are for the synthesizer to know beforehand."""
    if isinstance(documents, BaseNode):
        documents = [documents]
    if isinstance(documents, Sequence) and documents and all(isinstance(one, BaseNode) for one in documents):
        return EverythingRetriever(documents), {}
    if isinstance(documents, Sequence) and not documents:
        return EverythingRetriever([]), {}
    return EverythingRetriever([]), {"documents": documents}


def of_index(index: BaseIndex[Any], retriever: BaseRetriever | None) -> tuple[BaseRetriever, dict[str, Any]]:
    """A retriever of an index's documents, and where whole ones may be found."""
    chosen = EverythingRetriever(index) if retriever is None else FullDocumentRetriever(retriever, index)
    return chosen, {"original": chosen.kept.original}


def reads_at_once(read: bool | None, retriever: BaseRetriever | None) -> bool:
    """Whether an engine over an index reads everything when it is made: as it is told, or where nobody chooses."""
    return retriever is None if read is None else read


def read_all(retriever: BaseRetriever, synthesizer: SharedLLMSynthesizer) -> Library | None:
    """Read what a retriever could ever hand over."""
    kept = getattr(retriever, "kept", None)
    everything = EverythingRetriever(kept) if kept is not None else retriever
    read = synthesizer.read(everything.retrieve(QueryBundle("")))
    if read.handle is None:
        return None
    engine = synthesizer.llm.get_engine()
    library = read.handle.documents.library(engine)
    if not isinstance(retriever, FullDocumentRetriever):
        check_size(library, synthesizer.llm.context_window)
    return engine.read(library)

"""`SharedLLMQueryEngine`: answers queries from whole documents, with an index or without one."""

from typing import Any, Self

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import BaseSynthesizer

from sharedllm_core import InputError

from .document_engine import DocumentEngine
from .synthesizer import SharedLLMSynthesizer

__all__ = ["SharedLLMQueryEngine"]


class SharedLLMQueryEngine(DocumentEngine, RetrieverQueryEngine):
    """A query engine whose answers come from whole documents.

    Args:
        retriever: returns nodes; whole documents are rebuilt from them.
        response_synthesizer: by default a `SharedLLMSynthesizer`, made from `llm` and `options`.
        node_postprocessors: applied to the nodes, as everywhere in LlamaIndex.
        callback_manager: as everywhere in LlamaIndex.
        llm: a `SharedLLM`; by default that of `Settings`, or the packaged model.
        options: of `SharedLLMSynthesizer`: `documents`, `streaming`, `output_cls`, `text_qa_template`, …

    Raises:
        InputError: `llm` is another model; or both a synthesizer and options of one are given.
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
            raise InputError(
                f"{given} are of the synthesizer that is made here", remedy="give them to response_synthesizer"
            )
        if response_synthesizer is None:
            response_synthesizer = SharedLLMSynthesizer(llm, callback_manager=callback_manager, **options)
        super().__init__(retriever, response_synthesizer, node_postprocessors, callback_manager)

    @classmethod
    def from_args(  # type: ignore[override]
        cls, retriever: BaseRetriever, llm: LLM | None = None, **options: Any
    ) -> Self:
        """Make an engine, as the constructor; the only response mode is to answer from whole documents."""
        return cls(retriever, llm=llm, **options)

    def _document_synthesizer(self) -> SharedLLMSynthesizer:
        if not isinstance(self._response_synthesizer, SharedLLMSynthesizer):
            kind = type(self._response_synthesizer).__name__
            raise InputError(f"a {kind} reads nothing beforehand", remedy="use SharedLLMSynthesizer")
        return self._response_synthesizer

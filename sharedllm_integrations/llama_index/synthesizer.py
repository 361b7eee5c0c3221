"""`SharedLLMSynthesizer`: a response synthesizer that answers from whole documents in place of retrieved snippets."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.callbacks.base import CallbackManager, EventContext
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.synthesis import SynthesizeEndEvent, SynthesizeStartEvent
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle, QueryType
from llama_index.core.types import RESPONSE_TEXT_TYPE
from llama_index_instrumentation import get_dispatcher

from sharedllm_core import Document

from .._shared.document_set import text_set
from .documents import DocumentHandle
from .llm import SharedLLM
from .rebuild.whole_documents import WholeDocument, whole_documents
from .responses import AnswerSources, apieces, pieces
from .settings import shared_llm
from .structured import check_output_class, response_format

__all__ = ["SharedLLMSynthesizer"]

#: Replaces the documents in a prompt template that has a place for them; they are past context.
DOCUMENTS_MARK = "[the documents]"
_QUESTION = PromptTemplate("{query_str}")
_dispatcher = get_dispatcher(__name__)


class SharedLLMSynthesizer(BaseSynthesizer):
    """Answers questions from the whole documents that nodes come from.

    Documents are rebuilt from nodes of any parser, in the document's order, with overlaps and metadata once. The
    response's `source_nodes` are ranked by evidence; its `metadata` hold `usage`, `evidence`, and under `documents`
    which parts of a document are missing.

    Args:
        llm: a `SharedLLM`, or one as a structured one; by default that of `Settings`, or the packaged model.
        documents: read beside the nodes of every question, and also if there are none.
        original: looks up a whole document by its id, such as a docstore's `get_document`; it is preferred to nodes.
        streaming: respond piece by piece. Read at every call, so it may be changed.
        output_cls: a pydantic class; responses are objects of it. Streamed, they come as JSON.
        text_qa_template: the prompt: `{query_str}`, and optionally `{context_str}`, where it mentions that there are
            documents. By default the question alone, since it decides what is retained in most detail.
        callback_manager: as everywhere in LlamaIndex.
        empty_response: the response if there are neither nodes nor documents.

    Raises:
        InputError: `llm` is another model.
    """

    def __init__(
        self,
        llm: LLM | None = None,
        *,
        documents: Any = None,
        original: Callable[[str], BaseNode | None] | None = None,
        streaming: bool = False,
        output_cls: type[BaseModel] | None = None,
        text_qa_template: BasePromptTemplate | None = None,
        callback_manager: CallbackManager | None = None,
        empty_response: str | None = None,
    ) -> None:
        if isinstance(llm, StructuredLLM):
            output_cls = output_cls or llm.output_cls
            llm = llm.llm
        if output_cls is not None:
            check_output_class(output_cls)
        super().__init__(
            llm=shared_llm(llm),
            callback_manager=callback_manager,
            streaming=streaming,
            output_cls=output_cls,
            empty_response=empty_response or "There are no documents to answer from.",
        )
        self._preloaded = DocumentHandle.wrap(documents)
        self._original = original
        self._text_qa_template = text_qa_template or _QUESTION

    @property
    def llm(self) -> SharedLLM:
        """The model that answers."""
        assert isinstance(self._llm, SharedLLM)
        return self._llm

    # ------------------------------------------------------------------------------------------ prompts

    def _get_prompts(self) -> PromptDictType:
        return {"text_qa_template": self._text_qa_template}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        if "text_qa_template" in prompts:
            self._text_qa_template = prompts["text_qa_template"]

    def _messages(self, query: str) -> list[ChatMessage]:
        variables = self._text_qa_template.template_vars
        values = {"query_str": query, "context_str": DOCUMENTS_MARK}
        mapped = set((self._text_qa_template.template_var_mappings or {}).keys())
        used = {name: value for name, value in values.items() if name in variables or name in mapped}
        messages: list[ChatMessage] = self._text_qa_template.format_messages(llm=self.llm, **used)
        return self.llm._extend_messages(messages)

    # ------------------------------------------------------------------------------------------ documents

    def sources(self, nodes: Sequence[NodeWithScore]) -> AnswerSources:
        """Rebuild the documents of nodes, and add those that were given to the constructor.

        Raises:
            InputError: nodes that hold no text.
        """
        documents = whole_documents([node.node for node in nodes], self._original)
        rebuilt = [Document(document.text, id=document.id) for document in documents]
        if self._preloaded is None:
            return _answer_sources(nodes, documents, rebuilt)
        # A document that both the nodes and the constructor have is read once: as it was given to the constructor.
        preloaded = self._preloaded.documents.documents
        texts = {document.id: document.text for document in preloaded}
        new = [document for document in rebuilt if document.id not in texts]
        if not new:
            return AnswerSources(self._preloaded, documents, list(nodes), texts)
        return _answer_sources(nodes, documents, [*preloaded, *new])

    def _text_sources(self, text_chunks: Sequence[str]) -> AnswerSources:
        preloaded = self._preloaded.documents.documents if self._preloaded is not None else ()
        read = [*preloaded, *(Document(text) for text in text_chunks if text)]
        return _answer_sources([], [], list({document.id: document for document in read}.values()))

    def _arguments(self, sources: AnswerSources, response_kwargs: dict[str, Any]) -> dict[str, Any]:
        documents = {"documents": sources.handle} if sources.handle is not None else {}
        form = {"response_format": response_format(self._output_cls)} if self._output_cls is not None else {}
        return {**documents, **form, **response_kwargs}

    # ------------------------------------------------------------------------------------------ with nodes

    @_dispatcher.span
    def synthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """Answer a question from the documents of nodes.

        Args:
            query: the question.
            nodes: in any order.
            additional_source_nodes: appended to the source nodes of the response.
            response_kwargs: arguments of `SharedLLM.chat`.

        Raises:
            InputError: nodes that hold no text.
            WindowError: more documents than the model's `context_window`.
        """
        bundle = _started(query)
        if not nodes and self._preloaded is None:
            stream = StreamingResponse(self._empty_response_generator()) if self._streaming else None
            return _ended(bundle, stream or Response(self._empty_response))
        with self._synthesis_event(bundle) as event:
            sources, more = self.sources(nodes), list(additional_source_nodes or [])
            response = self._answer(bundle.query_str, sources, more, response_kwargs)
            event.on_end(payload={EventPayload.RESPONSE: response})
        return _ended(bundle, response)

    @_dispatcher.span
    async def asynthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """`synthesize` for asyncio."""
        bundle = _started(query)
        if not nodes and self._preloaded is None:
            stream = AsyncStreamingResponse(self._empty_response_agenerator()) if self._streaming else None
            return _ended(bundle, stream or Response(self._empty_response))
        with self._synthesis_event(bundle) as event:
            sources = await asyncio.to_thread(self.sources, nodes)
            more = list(additional_source_nodes or [])
            response = await self._aanswer(bundle.query_str, sources, more, response_kwargs)
            event.on_end(payload={EventPayload.RESPONSE: response})
        return _ended(bundle, response)

    def _answer(
        self, query: str, sources: AnswerSources, more: list[NodeWithScore], response_kwargs: dict[str, Any]
    ) -> RESPONSE_TYPE:
        messages, arguments = self._messages(query), self._arguments(sources, response_kwargs)
        if not self._streaming:
            return self._response(self.llm.chat(messages, **arguments), sources, more)
        nodes = [*sources.ranked_nodes({}), *more]
        streamed = StreamingResponse(None, nodes, sources.metadata({}))  # type: ignore[arg-type]
        streamed.response_gen = pieces(self.llm.stream_chat(messages, **arguments), sources, more, streamed)
        return streamed

    async def _aanswer(
        self, query: str, sources: AnswerSources, more: list[NodeWithScore], response_kwargs: dict[str, Any]
    ) -> RESPONSE_TYPE:
        messages, arguments = self._messages(query), self._arguments(sources, response_kwargs)
        if not self._streaming:
            return self._response(await self.llm.achat(messages, **arguments), sources, more)
        nodes = [*sources.ranked_nodes({}), *more]
        streamed = AsyncStreamingResponse(None, nodes, sources.metadata({}))  # type: ignore[arg-type]
        streamed.response_gen = apieces(await self.llm.astream_chat(messages, **arguments), sources, more, streamed)
        return streamed

    def _synthesis_event(self, bundle: QueryBundle) -> AbstractContextManager[EventContext]:
        payload: dict[str, Any] = {EventPayload.QUERY_STR: bundle.query_str}
        return self._callback_manager.event(CBEventType.SYNTHESIZE, payload=payload)

    def _response(self, answered: ChatResponse, sources: AnswerSources, more: list[NodeWithScore]) -> RESPONSE_TYPE:
        text = answered.message.content or ""
        nodes, metadata = [*sources.ranked_nodes(answered.raw), *more], sources.metadata(answered.raw)
        if self._output_cls is None:
            return Response(text, source_nodes=nodes, metadata=metadata)
        return PydanticResponse(self._output_cls.model_validate_json(text), source_nodes=nodes, metadata=metadata)

    # ------------------------------------------------------------------------------------------ with texts alone

    def get_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> RESPONSE_TEXT_TYPE:
        """Answer from texts, each of which is a document; they have no ids, so there are no source nodes."""
        sources = self._text_sources(text_chunks)
        if sources.handle is None:
            return self._empty_response_generator() if self._streaming else self._empty_response
        messages, arguments = self._messages(query_str), self._arguments(sources, response_kwargs)
        if self._streaming:
            return (piece.delta or "" for piece in self.llm.stream_chat(messages, **arguments))
        return self._text(self.llm.chat(messages, **arguments))

    async def aget_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """`get_response` for asyncio."""
        sources = await asyncio.to_thread(self._text_sources, text_chunks)
        if sources.handle is None:
            return self._empty_response_agenerator() if self._streaming else self._empty_response
        messages, arguments = self._messages(query_str), self._arguments(sources, response_kwargs)
        if self._streaming:
            responses = await self.llm.astream_chat(messages, **arguments)
            return (piece.delta or "" async for piece in responses)
        return self._text(await self.llm.achat(messages, **arguments))

    def _text(self, answered: ChatResponse) -> Any:
        text = answered.message.content or ""
        return text if self._output_cls is None else self._output_cls.model_validate_json(text)


def _started(query: QueryType) -> QueryBundle:
    _dispatcher.event(SynthesizeStartEvent(query=query))
    return QueryBundle(query) if isinstance(query, str) else query


def _ended(query: QueryBundle, response: RESPONSE_TYPE) -> RESPONSE_TYPE:
    _dispatcher.event(SynthesizeEndEvent(query=query, response=response))
    return response


def _answer_sources(
    nodes: Sequence[NodeWithScore], documents: list[WholeDocument], read: Sequence[Document]
) -> AnswerSources:
    """Return the sources of an answer for which the model reads `read`, with ids that differ from each other."""
    handle = DocumentHandle.wrap(text_set(read)) if read else None
    return AnswerSources(handle, documents, list(nodes), {document.id: document.text for document in read})

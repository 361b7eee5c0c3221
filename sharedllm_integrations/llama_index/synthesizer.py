"""`SharedLLMSynthesizer`: answers from whole documents, where LlamaIndex expects something to put snippets together."""

import asyncio
from collections.abc import Callable, Sequence
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
from llama_index.core.callbacks.base import CallbackManager
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

from .._document_set import known_set
from .documents import Handle
from .llm import SharedLLM
from .responses import Read, apieces, pieces
from .settings import shared_llm
from .structured import format_of
from .whole_documents import WholeDocument, whole_documents

__all__ = ["SharedLLMSynthesizer"]

#: What stands for documents in a prompt that has a place for them: they are read beside it.
IN_PLACE_OF_DOCUMENTS = "[the documents]"
_QUESTION = PromptTemplate("{query_str}")
_dispatcher = get_dispatcher(__name__)


class SharedLLMSynthesizer(BaseSynthesizer):
    """Answers questions from the whole documents that nodes come from.

    Nodes are put together to documents (overlaps once, metadata once, in the document's order), whatever parser made
    them. The response's `source_nodes` are ranked by evidence, and its `metadata` hold `usage`, `evidence`, and under
    `documents` what is missing of which.

    Args:
        llm: a `SharedLLM`, or one as a structured one; by default that of `Settings`, or the model of the package.
        documents: read beside the nodes of every question, and also where there are none.
        original: the whole document of an id, where it is kept, such as a docstore's `get_document`; it is preferred to
            nodes.
        streaming: respond piece by piece. Read at every call, so that it may be changed.
        output_cls: a pydantic class; responses are objects of it. Streamed, they come as JSON.
        text_qa_template: the prompt: `{query_str}`, and if wanted `{context_str}`, where it says that there are
            documents. The question alone by default, since it decides what is read most finely.
        callback_manager: as everywhere in LlamaIndex.
        empty_response: what is said where there are neither nodes nor documents.

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
        super().__init__(
            llm=shared_llm(llm),
            callback_manager=callback_manager,
            streaming=streaming,
            output_cls=output_cls,
            empty_response=empty_response or "There are no documents to answer from.",
        )
        self._preloaded = Handle.of(documents)
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
        given = {"query_str": query, "context_str": IN_PLACE_OF_DOCUMENTS}
        mapped = set((self._text_qa_template.template_var_mappings or {}).keys())
        used = {name: value for name, value in given.items() if name in variables or name in mapped}
        messages: list[ChatMessage] = self._text_qa_template.format_messages(llm=self.llm, **used)
        return self.llm._extend_messages(messages)

    # ------------------------------------------------------------------------------------------ documents

    def read(self, nodes: Sequence[NodeWithScore]) -> Read:
        """The documents of some nodes, and those that were preloaded.

        Raises:
            InputError: nodes that hold no text.
        """
        documents = whole_documents([node.node for node in nodes], self._original)
        of_nodes = {document.id: document.text for document in documents}
        if self._preloaded is None:
            return self._with_nodes(nodes, documents, of_nodes)
        preloaded = self._preloaded.documents.documents
        # The same document from both sides is read once: as it was preloaded.
        texts = {document.id: document.text for document in preloaded}
        new = {name: text for name, text in of_nodes.items() if name not in texts}
        if not new:
            return Read(self._preloaded, documents, list(nodes), texts)
        return self._with_nodes(nodes, documents, {**texts, **new})

    def _with_nodes(
        self, nodes: Sequence[NodeWithScore], documents: list[WholeDocument], texts: dict[str, str]
    ) -> Read:
        handle = Handle.of(known_set(tuple(texts), tuple(texts.values()))) if texts else None
        return Read(handle, documents, list(nodes), texts)

    def _arguments(self, read: Read, response_kwargs: dict[str, Any]) -> dict[str, Any]:
        given = {"documents": read.handle} if read.handle is not None else {}
        form = {"response_format": format_of(self._output_cls)} if self._output_cls is not None else {}
        return {**given, **form, **response_kwargs}

    # ------------------------------------------------------------------------------------------ with nodes

    @_dispatcher.span
    def synthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """Answer a question from the documents of some nodes.

        Args:
            query: the question.
            nodes: in any order.
            additional_source_nodes: put behind the source nodes of the response.
            response_kwargs: of `SharedLLM.chat`.

        Raises:
            InputError: nodes that hold no text.
            WindowError: more documents than the model's `context_window`.
        """
        _dispatcher.event(SynthesizeStartEvent(query=query))
        bundle = QueryBundle(query) if isinstance(query, str) else query
        if not nodes and self._preloaded is None:
            empty: RESPONSE_TYPE = Response(self._empty_response)
            if self._streaming:
                empty = StreamingResponse(self._empty_response_generator())
            return self._told(bundle, empty)
        with self._callback_manager.event(
            CBEventType.SYNTHESIZE, payload={EventPayload.QUERY_STR: bundle.query_str}
        ) as event:
            read = self.read(nodes)
            messages, arguments = self._messages(bundle.query_str), self._arguments(read, response_kwargs)
            more = list(additional_source_nodes or [])
            response: RESPONSE_TYPE
            if self._streaming:
                response = StreamingResponse(None, [*read.sources({}), *more], read.metadata({}))  # type: ignore[arg-type]
                response.response_gen = pieces(self.llm.stream_chat(messages, **arguments), read, more, response)
            else:
                response = self._response(self.llm.chat(messages, **arguments), read, more)
            event.on_end(payload={EventPayload.RESPONSE: response})
        return self._told(bundle, response)

    @_dispatcher.span
    async def asynthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """`synthesize` for asyncio."""
        _dispatcher.event(SynthesizeStartEvent(query=query))
        bundle = QueryBundle(query) if isinstance(query, str) else query
        if not nodes and self._preloaded is None:
            empty: RESPONSE_TYPE = Response(self._empty_response)
            if self._streaming:
                empty = AsyncStreamingResponse(self._empty_response_agenerator())
            return self._told(bundle, empty)
        with self._callback_manager.event(
            CBEventType.SYNTHESIZE, payload={EventPayload.QUERY_STR: bundle.query_str}
        ) as event:
            read = await asyncio.to_thread(self.read, nodes)
            messages, arguments = self._messages(bundle.query_str), self._arguments(read, response_kwargs)
            more = list(additional_source_nodes or [])
            response: RESPONSE_TYPE
            if self._streaming:
                response = AsyncStreamingResponse(None, [*read.sources({}), *more], read.metadata({}))  # type: ignore[arg-type]
                responses = await self.llm.astream_chat(messages, **arguments)
                response.response_gen = apieces(responses, read, more, response)
            else:
                response = self._response(await self.llm.achat(messages, **arguments), read, more)
            event.on_end(payload={EventPayload.RESPONSE: response})
        return self._told(bundle, response)

    def _told(self, query: QueryBundle, response: RESPONSE_TYPE) -> RESPONSE_TYPE:
        _dispatcher.event(SynthesizeEndEvent(query=query, response=response))
        return response

    def _response(self, answered: ChatResponse, read: Read, more: list[NodeWithScore]) -> RESPONSE_TYPE:
        text = answered.message.content or ""
        sources, metadata = [*read.sources(answered.raw), *more], read.metadata(answered.raw)
        if self._output_cls is None:
            return Response(text, source_nodes=sources, metadata=metadata)
        return PydanticResponse(self._output_cls.model_validate_json(text), source_nodes=sources, metadata=metadata)

    # ------------------------------------------------------------------------------------------ with texts alone

    def get_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> RESPONSE_TEXT_TYPE:
        """Answer from texts, each of which is a document; without ids, and so without source nodes."""
        read = self._of_texts(text_chunks)
        if read.handle is None:
            return self._empty_response_generator() if self._streaming else self._empty_response
        messages, arguments = self._messages(query_str), self._arguments(read, response_kwargs)
        if self._streaming:
            return (piece.delta or "" for piece in self.llm.stream_chat(messages, **arguments))
        return self._text(self.llm.chat(messages, **arguments))

    async def aget_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """`get_response` for asyncio."""
        read = await asyncio.to_thread(self._of_texts, text_chunks)
        if read.handle is None:
            return self._empty_response_agenerator() if self._streaming else self._empty_response
        messages, arguments = self._messages(query_str), self._arguments(read, response_kwargs)
        if self._streaming:
            responses = await self.llm.astream_chat(messages, **arguments)
            return (piece.delta or "" async for piece in responses)
        return self._text(await self.llm.achat(messages, **arguments))

    def _of_texts(self, text_chunks: Sequence[str]) -> Read:
        texts = {Document(text).id: text for text in text_chunks if text}
        preloaded = self._preloaded.documents.documents if self._preloaded is not None else ()
        return self._with_nodes([], [], {**{one.id: one.text for one in preloaded}, **texts})

    def _text(self, answered: ChatResponse) -> Any:
        text = answered.message.content or ""
        return text if self._output_cls is None else self._output_cls.model_validate_json(text)

"""`SharedLLMChatEngine`: conversations about whole documents."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.callbacks import trace_method
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine, StreamingAgentChatResponse
from llama_index.core.instrumentation.events.chat_engine import (
    StreamChatDeltaReceivedEvent,
    StreamChatEndEvent,
    StreamChatErrorEvent,
    StreamChatStartEvent,
)
from llama_index.core.llms import LLM
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index_instrumentation import get_dispatcher

from .document_engine import DocumentEngine
from .responses import AnswerSources
from .settings import shared_llm
from .synthesizer import SharedLLMSynthesizer

__all__ = ["SharedLLMChatEngine"]

_dispatcher = get_dispatcher(__name__)
_UNLIMITED = 10**9  # tokens


class SharedLLMChatEngine(DocumentEngine, BaseChatEngine):
    """A chat engine whose answers come from whole documents and from the whole conversation.

    Turns that do not fit the model's window are read like documents, so nothing is cut off or summarised. No question
    is rewritten by the model: each is answered as it was asked, after the turns before it.

    Args:
        retriever: returns nodes; whole documents are rebuilt from them.
        llm: a `SharedLLM`; by default that of `Settings`, or the packaged model.
        system_prompt: the system message before the conversation.
        memory: keeps the conversation; by default one without a limit. Another one decides what it keeps.
        callback_manager: as everywhere in LlamaIndex.
        documents: read beside the nodes of every message, and also if there are none.
        original: looks up a whole document by its id; see `SharedLLMSynthesizer`.

    Raises:
        InputError: `llm` is another model.
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        llm: LLM | None = None,
        *,
        system_prompt: str | None = None,
        memory: BaseMemory | None = None,
        callback_manager: CallbackManager | None = None,
        documents: Any = None,
        original: Callable[[str], BaseNode | None] | None = None,
    ) -> None:
        self._retriever = retriever
        self._llm = shared_llm(llm)
        self._synthesizer = SharedLLMSynthesizer(
            self._llm, documents=documents, original=original, callback_manager=callback_manager
        )
        self._system_prompt = system_prompt
        self._memory = memory or ChatMemoryBuffer.from_defaults(
            token_limit=_UNLIMITED, tokenizer_fn=lambda text: [text]
        )
        self.callback_manager = callback_manager or self._llm.callback_manager

    def _document_synthesizer(self) -> SharedLLMSynthesizer:
        return self._synthesizer

    # ------------------------------------------------------------------------------------------ chat

    @trace_method("chat")
    def chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """Answer a message.

        Args:
            message: what the user says.
            chat_history: replaces the conversation so far.

        Raises:
            WindowError: a message longer than the model's window, or more documents than its `context_window`.
        """
        asked, messages, sources = self._prepare(message, chat_history)
        response = self._llm.chat(messages, **_document_arguments(sources))
        self._memory.put(asked)
        self._memory.put(response.message)
        return _chat_response(response, sources)

    @trace_method("chat")
    async def achat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """`chat` for asyncio."""
        asked, messages, sources = await self._aprepare(message, chat_history)
        response = await self._llm.achat(messages, **_document_arguments(sources))
        await self._memory.aput(asked)
        await self._memory.aput(response.message)
        return _chat_response(response, sources)

    @trace_method("chat")
    def stream_chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> StreamingAgentChatResponse:
        """`chat`, piece by piece.

        The message is added to the conversation at once, the answer after its last piece: a message whose stream is
        abandoned stays in the conversation.
        """
        asked, messages, sources = self._prepare(message, chat_history)
        responses = self._llm.stream_chat(messages, **_document_arguments(sources))
        self._memory.put(asked)
        nodes = sources.ranked_nodes({})
        stream = self._streamed(responses, sources, nodes)
        return StreamingAgentChatResponse(chat_stream=stream, source_nodes=nodes, is_writing_to_memory=False)

    @trace_method("chat")
    async def astream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> StreamingAgentChatResponse:
        """`stream_chat` for asyncio."""
        asked, messages, sources = await self._aprepare(message, chat_history)
        responses = await self._llm.astream_chat(messages, **_document_arguments(sources))
        await self._memory.aput(asked)
        nodes = sources.ranked_nodes({})
        stream = self._astreamed(responses, sources, nodes)
        return StreamingAgentChatResponse(achat_stream=stream, source_nodes=nodes, is_writing_to_memory=False)

    def reset(self) -> None:
        """Forget the conversation."""
        self._memory.reset()

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The conversation so far."""
        return self._memory.get_all()

    # ------------------------------------------------------------------------------------------ inside

    def _prepare(
        self, message: str, chat_history: list[ChatMessage] | None
    ) -> tuple[ChatMessage, list[ChatMessage], AnswerSources]:
        """The user's message, all messages for the model, and the documents to answer from."""
        if chat_history is not None:
            self._memory.set(list(chat_history))
        sources = self._synthesizer.sources(self._retriever.retrieve(QueryBundle(message)))
        return *self._messages(message, self._memory.get(input=message)), sources

    async def _aprepare(
        self, message: str, chat_history: list[ChatMessage] | None
    ) -> tuple[ChatMessage, list[ChatMessage], AnswerSources]:
        """`_prepare` for asyncio."""
        if chat_history is not None:
            await self._memory.aset(list(chat_history))
        found = await self._retriever.aretrieve(QueryBundle(message))
        sources = await asyncio.to_thread(self._synthesizer.sources, found)
        return *self._messages(message, await self._memory.aget(input=message)), sources

    def _messages(self, message: str, history: list[ChatMessage]) -> tuple[ChatMessage, list[ChatMessage]]:
        asked = ChatMessage(role=MessageRole.USER, content=message)
        system = [ChatMessage(role=MessageRole.SYSTEM, content=self._system_prompt)] if self._system_prompt else []
        return asked, self._llm._extend_messages([*system, *history, asked])

    def _streamed(
        self,
        responses: Generator[ChatResponse, None, None],
        sources: AnswerSources,
        nodes: list[NodeWithScore],
    ) -> Generator[ChatResponse, None, None]:
        _dispatcher.event(StreamChatStartEvent())
        try:
            for response in responses:
                if response.delta:
                    _dispatcher.event(StreamChatDeltaReceivedEvent(delta=response.delta))
                if response.raw is not None:
                    nodes[:] = sources.ranked_nodes(response.raw)
                    self._memory.put(response.message)
                yield response
        except Exception as error:
            _dispatcher.event(StreamChatErrorEvent(exception=error))
            raise
        _dispatcher.event(StreamChatEndEvent())

    async def _astreamed(
        self,
        responses: AsyncGenerator[ChatResponse, None],
        sources: AnswerSources,
        nodes: list[NodeWithScore],
    ) -> AsyncGenerator[ChatResponse, None]:
        _dispatcher.event(StreamChatStartEvent())
        try:
            async with aclosing(responses):
                async for response in responses:
                    if response.delta:
                        _dispatcher.event(StreamChatDeltaReceivedEvent(delta=response.delta))
                    if response.raw is not None:
                        nodes[:] = sources.ranked_nodes(response.raw)
                        await self._memory.aput(response.message)
                    yield response
        except Exception as error:
            _dispatcher.event(StreamChatErrorEvent(exception=error))
            raise
        _dispatcher.event(StreamChatEndEvent())


def _document_arguments(sources: AnswerSources) -> dict[str, Any]:
    return {} if sources.handle is None else {"documents": sources.handle}


def _chat_response(response: ChatResponse, sources: AnswerSources) -> AgentChatResponse:
    return AgentChatResponse(
        response=response.message.content or "",
        source_nodes=sources.ranked_nodes(response.raw),
        metadata=sources.metadata(response.raw),
    )

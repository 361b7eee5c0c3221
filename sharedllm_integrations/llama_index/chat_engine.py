"""`SharedLLMChatEngine`: conversations about whole documents."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import Any, Self

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.callbacks import trace_method
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine, StreamingAgentChatResponse
from llama_index.core.indices.base import BaseIndex
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

from sharedllm_core import Library

from .query_engine import of_documents, of_index, read_all, reads_at_once
from .responses import Read
from .settings import shared_llm
from .synthesizer import SharedLLMSynthesizer

__all__ = ["SharedLLMChatEngine"]

_dispatcher = get_dispatcher(__name__)
_EVERYTHING = 10**9  # tokens: a memory that forgets nothing


class SharedLLMChatEngine(BaseChatEngine):
    """A chat engine whose answers come from whole documents and from all of the conversation.

    Turns that do not fit into the model's window are read like documents, so nothing is cut off or summarised. No
    question is rewritten by the model: each is answered as it was asked, among the turns before it.

    Args:
        retriever: hands over nodes; the documents are put together from them.
        llm: a `SharedLLM`; by default that of `Settings`, or the model of the package.
        system_prompt: said before the conversation.
        memory: where the conversation is kept; by default one that forgets nothing. Another decides itself what of the
            conversation it still gives.
        callback_manager: as everywhere in LlamaIndex.
        documents: read beside the nodes of every message, and also where there are none.
        original: the whole document of an id, where it is kept; see `SharedLLMSynthesizer`.

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
            token_limit=_EVERYTHING, tokenizer_fn=lambda text: [text]
        )
        self.callback_manager = callback_manager or self._llm.callback_manager

    @classmethod
    def from_documents(cls, documents: Any, llm: LLM | None = None, *, read: bool = True, **options: Any) -> Self:
        """A chat engine over documents; see `SharedLLMQueryEngine.from_documents`."""
        retriever, preloaded = of_documents(documents)
        engine = cls(retriever, llm, **preloaded, **options)
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
        """A chat engine over the documents of an index; see `SharedLLMQueryEngine.from_index`."""
        chosen, originals = of_index(index, retriever)
        engine = cls(chosen, llm, **originals, **options)
        if reads_at_once(read, retriever):
            engine.read()
        return engine

    def read(self) -> Library | None:
        """Read and compress all documents now."""
        return read_all(self._retriever, self._synthesizer)

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
        if chat_history is not None:
            self._memory.set(list(chat_history))
        read = self._synthesizer.read(self._retriever.retrieve(QueryBundle(message)))
        asked, messages = self._messages(message, self._memory.get(input=message))
        response = self._llm.chat(messages, **_given(read))
        self._memory.put(asked)
        self._memory.put(response.message)
        return AgentChatResponse(
            response=response.message.content or "",
            source_nodes=read.sources(response.raw),
            metadata=read.metadata(response.raw),
        )

    @trace_method("chat")
    async def achat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """`chat` for asyncio."""
        if chat_history is not None:
            await self._memory.aset(list(chat_history))
        nodes = await self._retriever.aretrieve(QueryBundle(message))
        read = await asyncio.to_thread(self._synthesizer.read, nodes)
        asked, messages = self._messages(message, await self._memory.aget(input=message))
        response = await self._llm.achat(messages, **_given(read))
        await self._memory.aput(asked)
        await self._memory.aput(response.message)
        return AgentChatResponse(
            response=response.message.content or "",
            source_nodes=read.sources(response.raw),
            metadata=read.metadata(response.raw),
        )

    @trace_method("chat")
    def stream_chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> StreamingAgentChatResponse:
        """`chat`, piece by piece. The turn gets into the conversation when its last piece has been taken."""
        if chat_history is not None:
            self._memory.set(list(chat_history))
        read = self._synthesizer.read(self._retriever.retrieve(QueryBundle(message)))
        asked, messages = self._messages(message, self._memory.get(input=message))
        responses = self._llm.stream_chat(messages, **_given(read))
        nodes = read.sources({})
        return StreamingAgentChatResponse(
            chat_stream=self._streamed(responses, asked, read, nodes), source_nodes=nodes, is_writing_to_memory=False
        )

    @trace_method("chat")
    async def astream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> StreamingAgentChatResponse:
        """`stream_chat` for asyncio."""
        if chat_history is not None:
            await self._memory.aset(list(chat_history))
        found = await self._retriever.aretrieve(QueryBundle(message))
        read = await asyncio.to_thread(self._synthesizer.read, found)
        asked, messages = self._messages(message, await self._memory.aget(input=message))
        responses = await self._llm.astream_chat(messages, **_given(read))
        nodes = read.sources({})
        return StreamingAgentChatResponse(
            achat_stream=self._astreamed(responses, asked, read, nodes), source_nodes=nodes, is_writing_to_memory=False
        )

    def reset(self) -> None:
        """Forget the conversation."""
        self._memory.reset()

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The conversation so far."""
        return self._memory.get_all()

    # ------------------------------------------------------------------------------------------ inside

    def _messages(self, message: str, history: list[ChatMessage]) -> tuple[ChatMessage, list[ChatMessage]]:
        asked = ChatMessage(role=MessageRole.USER, content=message)
        said = [ChatMessage(role=MessageRole.SYSTEM, content=self._system_prompt)] if self._system_prompt else []
        return asked, self._llm._extend_messages([*said, *history, asked])

    def _streamed(
        self,
        responses: Generator[ChatResponse, None, None],
        asked: ChatMessage,
        read: Read,
        nodes: list[NodeWithScore],
    ) -> Generator[ChatResponse, None, None]:
        _dispatcher.event(StreamChatStartEvent())
        try:
            for response in responses:
                if response.delta:
                    _dispatcher.event(StreamChatDeltaReceivedEvent(delta=response.delta))
                if response.raw is not None:
                    nodes[:] = read.sources(response.raw)
                    self._memory.put(asked)
                    self._memory.put(response.message)
                yield response
        except Exception as error:
            _dispatcher.event(StreamChatErrorEvent(exception=error))
            raise
        _dispatcher.event(StreamChatEndEvent())

    async def _astreamed(
        self,
        responses: AsyncGenerator[ChatResponse, None],
        asked: ChatMessage,
        read: Read,
        nodes: list[NodeWithScore],
    ) -> AsyncGenerator[ChatResponse, None]:
        _dispatcher.event(StreamChatStartEvent())
        try:
            async with aclosing(responses):
                async for response in responses:
                    if response.delta:
                        _dispatcher.event(StreamChatDeltaReceivedEvent(delta=response.delta))
                    if response.raw is not None:
                        nodes[:] = read.sources(response.raw)
                        await self._memory.aput(asked)
                        await self._memory.aput(response.message)
                    yield response
        except Exception as error:
            _dispatcher.event(StreamChatErrorEvent(exception=error))
            raise
        _dispatcher.event(StreamChatEndEvent())


def _given(read: Read) -> dict[str, Any]:
    return {} if read.handle is None else {"documents": read.handle}

"""`SharedLLM`: a language model of LlamaIndex that reads whole document sets."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing
from typing import Any, Self

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import ConfigDict, Field, field_validator, model_validator
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback

from sharedllm_core import InputError, SharedLLMEngine, TreeCache

from .._asking import aanswer, answer, astream, stream
from .._engines import engine_of
from .calls import Call, ahandled, call_of, handled
from .documents import Handle, check_size
from .output import chat_piece, chat_response, completion_piece, completion_response
from .structured import StructuredOutput
from .tools import ToolCalling

__all__ = ["SharedLLM"]

_NUM_OUTPUT = 256
#: Parameters that other models have, and that mean nothing for a model in the same process.
_WITHOUT_MEANING = {"api_key", "api_base", "max_retries", "model_name", "class_name"}


class SharedLLM(ToolCalling, StructuredOutput):
    """A model that takes whole document sets: 128K tokens and more, compressed once, cached, and answered from.

    Documents come from `SharedLLMSynthesizer` and the engines, by `documents=` (here or in a call), by
    `with_documents`, as `DocumentBlock`s of messages, or in the prompts of LlamaIndex's own query engines, where they
    are found. The weights are loaded at first use, once in a process.

    Attributes:
        model: folder or hub id of a checkpoint; `None` for the model of the package.
        documents: paths, Documents or nodes of LlamaIndex, Documents of sharedllm, or a `Library`. Kept under a handle
            of which events see the fingerprint alone.
        temperature, top_p, top_k, repetition_penalty, seed, num_evidence: see `AnswerSettings`.
        max_tokens: the most tokens to write.
        stop: strings that end an answer.
        timeout: seconds after which a call is given up, with `TimeoutError`.
        context_window: the most tokens of documents; more are refused with the numbers. The model of the package was
            made for this many; others may take more.
        evidence_text: whether `raw["evidence"]`, and so traces, hold the text of spans of `documents`. By default they
            name document and characters.
        documents_from_prompt: whether long texts in messages are read as documents. What was taken stands in
            `raw["documents_from_messages"]`.
        min_document_tokens: how long a text in a message must be to be taken for a document.
        tree_cache: where trees are kept; by default memory and the user's cache folder.
        engine: an engine to use instead of loading `model`.
        device, dtype, policy: of `SharedLLMEngine.from_pretrained`.

    Raises:
        InputError: a parameter that is not known.
    """

    model_config = ConfigDict(protected_namespaces=(), arbitrary_types_allowed=True)

    model: str | None = None
    documents: Any = Field(default=None, repr=False, exclude=True)
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int | None = None
    stop: list[str] | None = None
    seed: int | None = None
    timeout: float | None = None
    num_evidence: int = 5
    context_window: int = Field(default=131_072, gt=0)
    evidence_text: bool = False
    documents_from_prompt: bool = True
    min_document_tokens: int = 400
    tree_cache: TreeCache | None = Field(default=None, repr=False, exclude=True)
    engine: SharedLLMEngine | None = Field(default=None, repr=False, exclude=True)
    device: str | None = None
    dtype: str | None = None
    policy: str | None = None

    @field_validator("documents", mode="before")
    @classmethod
    def _under_a_handle(cls, documents: Any) -> Handle | None:
        return Handle.of(documents)

    @model_validator(mode="before")
    @classmethod
    def _known_parameters(cls, given: Any) -> Any:
        if isinstance(given, dict):
            if unknown := sorted(set(given) - set(cls.model_fields) - _WITHOUT_MEANING):
                raise InputError(f"unknown parameters {unknown}; known are {sorted(cls.model_fields)}")
            if "model_name" in given:
                given = {"model": given["model_name"], **{k: v for k, v in given.items() if k != "model_name"}}
        return given

    @classmethod
    def class_name(cls) -> str:
        """As LlamaIndex writes it down."""
        return "SharedLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex needs to know of the model."""
        return LLMMetadata(
            context_window=self.context_window,
            num_output=self.max_tokens or _NUM_OUTPUT,
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=self.model or "sharedllm-default",
        )

    def to_payload(self) -> dict[str, Any]:
        """What events say of the model; of its documents, the fingerprint."""
        told = {"documents": str(self.documents)} if self.documents is not None else {}
        return {**super().to_payload(), **told}

    @property
    def tokenizer(self) -> Callable[[str], list[int]]:
        """The model's tokenizer, for `Settings.tokenizer`."""
        encode = self.get_engine().tokenizer.encode
        return lambda text: encode(text).ids.tolist()

    def get_engine(self) -> SharedLLMEngine:
        """The engine that answers, loaded at first use."""
        if self.engine is not None:
            return self.engine
        more = {name: value for name in ("device", "dtype", "policy") if (value := getattr(self, name)) is not None}
        return engine_of(self.model, self.tree_cache, **more)

    def with_documents(self, documents: Any) -> Self:
        """A copy that answers from `documents`. They are read and compressed now, so that questions need not wait.

        Raises:
            DocumentError: documents that cannot be read.
            WindowError: more documents than `context_window`.
        """
        handle = Handle.of(documents)
        if handle is None:
            raise InputError("with_documents(None) names no documents; give some, or use the model as it is")
        engine = self.get_engine()
        library = handle.documents.library(engine)
        check_size(library, self.context_window)
        engine.read(library)
        return self.model_copy(update={"documents": handle})

    # ------------------------------------------------------------------------------------------ the eight methods
    # Each is told to callbacks once: none calls another, and documents are under a handle before anything is told.

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer the last of some messages.

        Args:
            messages: of any roles.
            kwargs: `documents`, `stop`, `timeout`, `tools`, `tool_choice`, `parallel_tool_calls`, `response_format` (in
                OpenAI's forms), and any option of the class for this call.

        Raises:
            InputError: messages or arguments that cannot be read.
            WindowError: a last turn longer than the window, or more documents than `context_window`.
            TimeoutError: it takes longer than `timeout`.
        """
        response: ChatResponse = self._chat(messages, **handled(kwargs))
        return response

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat` for asyncio: the event loop goes on, and cancelling the task stops the model."""
        response: ChatResponse = await self._achat(messages, **await ahandled(kwargs))
        return response

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """`chat`, piece by piece: each response holds all text so far, and `delta`; the last one also `raw`."""
        responses: ChatResponseGen = self._stream_chat(messages, **handled(kwargs))
        return responses

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """`stream_chat` for asyncio."""
        responses: ChatResponseAsyncGen = await self._astream_chat(messages, **await ahandled(kwargs))
        return responses

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a prompt, as `chat` answers a user's message."""
        response: CompletionResponse = self._complete(prompt, **handled(kwargs))
        return response

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """`complete` for asyncio."""
        response: CompletionResponse = await self._acomplete(prompt, **await ahandled(kwargs))
        return response

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """`complete`, piece by piece, as `stream_chat`."""
        responses: CompletionResponseGen = self._stream_complete(prompt, **handled(kwargs))
        return responses

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """`stream_complete` for asyncio."""
        responses: CompletionResponseAsyncGen = await self._astream_complete(prompt, **await ahandled(kwargs))
        return responses

    # ------------------------------------------------------------------------------------------ inside

    @llm_chat_callback()
    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        call = call_of(self, messages, kwargs)
        return chat_response(answer(call.engine, call.ask, call.timeout), call.told)

    @llm_chat_callback()
    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        call = await asyncio.to_thread(call_of, self, messages, kwargs)
        return chat_response(await aanswer(call.engine, call.ask, call.timeout), call.told)

    @llm_chat_callback()
    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return _streamed(call_of(self, messages, kwargs), chat_piece, chat_response)

    @llm_chat_callback()
    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        return _astreamed(await asyncio.to_thread(call_of, self, messages, kwargs), chat_piece, chat_response)

    @llm_completion_callback()
    def _complete(self, prompt: str, **kwargs: Any) -> CompletionResponse:
        call = call_of(self, _asked(prompt), kwargs)
        return completion_response(answer(call.engine, call.ask, call.timeout), call.told)

    @llm_completion_callback()
    async def _acomplete(self, prompt: str, **kwargs: Any) -> CompletionResponse:
        call = await asyncio.to_thread(call_of, self, _asked(prompt), kwargs)
        return completion_response(await aanswer(call.engine, call.ask, call.timeout), call.told)

    @llm_completion_callback()
    def _stream_complete(self, prompt: str, **kwargs: Any) -> CompletionResponseGen:
        return _streamed(call_of(self, _asked(prompt), kwargs), completion_piece, completion_response)

    @llm_completion_callback()
    async def _astream_complete(self, prompt: str, **kwargs: Any) -> CompletionResponseAsyncGen:
        call = await asyncio.to_thread(call_of, self, _asked(prompt), kwargs)
        return _astreamed(call, completion_piece, completion_response)


def _asked(prompt: str) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=prompt)]


def _streamed(call: Call, piece_of: Callable[..., Any], whole_of: Callable[..., Any]) -> Generator[Any, None, None]:
    text = ""
    for piece in stream(call.engine, call.ask, call.timeout):
        if isinstance(piece, str):
            text += piece
            yield piece_of(text, piece)
        else:
            yield whole_of(piece, call.told, delta="")


async def _astreamed(
    call: Call, piece_of: Callable[..., Any], whole_of: Callable[..., Any]
) -> AsyncGenerator[Any, None]:
    text = ""
    async with aclosing(astream(call.engine, call.ask, call.timeout)) as pieces:
        async for piece in pieces:
            if isinstance(piece, str):
                text += piece
                yield piece_of(text, piece)
            else:
                yield whole_of(piece, call.told, delta="")

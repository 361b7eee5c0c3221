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
from llama_index.core.bridge.pydantic import Field, field_validator
from llama_index.core.constants import DEFAULT_CONTEXT_WINDOW, DEFAULT_NUM_OUTPUTS
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback

from sharedllm_core import InputError, ThoughtPiece

from .._shared.engine_model import EngineModel
from .._shared.errors import worded_errors
from .._shared.request import Request
from .._shared.serving import aanswer, answer, astream, stream
from .documents import DocumentHandle, check_size
from .output import chat_piece, chat_response, completion_piece, completion_response
from .requests import awith_document_handle, request_from, with_document_handle
from .structured import StructuredOutput
from .tools import ToolCalling

__all__ = ["SharedLLM"]


class SharedLLM(EngineModel, ToolCalling, StructuredOutput):
    """A model that answers from whole document sets of 128K tokens and more, compressed once and cached.

    Documents come from `SharedLLMSynthesizer` and the engines, by `documents=` (here or in a call), by
    `with_documents`, as `DocumentBlock`s of messages, or in the prompts of LlamaIndex's own query engines, where they
    are found. The weights are loaded at first use, once per process.

    Attributes:
        model: folder or hub id of a checkpoint, a GGUF file, `"smollm2"`, or `"reader"`, the same with the updates of
            this package; `None` for the reader with a `DefaultModelWarning`.
        documents: paths, Documents or nodes of LlamaIndex, Documents of sharedllm, or a `Library`. Kept under a handle,
            of which events see only the fingerprint.
        temperature, top_p, top_k, repetition_penalty: see `AnswerSettings`; `None` for the checkpoint's own setting,
            and greedy decoding where it has none.
        seed, num_evidence, quote_tokens: see `AnswerSettings`.
        thinking: whether a reasoning model thinks before it answers; by default as its chat template has it. Thoughts
            are in a `ThinkingBlock` of the message, and in `additional_kwargs["thinking_delta"]` of streamed responses.
        max_tokens: the most tokens to generate.
        stop: stop strings.
        timeout: seconds after which a call raises `TimeoutError` and generation stops.
        context_window: the most tokens of documents; more are refused with the numbers. By default nothing is refused,
            and `metadata` reports what the model was made for.
        documents_from_prompt: when text of messages becomes past context: `"overflow"`, when they do not fit the
            window: marked documents, then the middle of the longest text; `"always"`, as soon as texts are long;
            `"never"`. What was moved is in `raw["documents_from_messages"]`.
        min_document_tokens: the fewest tokens of a marked document, and with `"always"` of a long text.
        evidence_text: whether `raw["evidence"]`, and so traces, hold the text of spans of `documents`. By default they
            name document and characters.
        tree_cache: the cache of context trees; by default memory and the user's cache folder.
        engine: an engine to use instead of loading `model`.
        device, dtype, policy, reading: of `SharedLLMEngine.from_pretrained`.

    Raises:
        InputError: an unknown parameter.
    """

    ignored_parameters = frozenset({"api_key", "api_base", "max_retries", "class_name"})

    documents: Any = Field(default=None, repr=False, exclude=True)
    context_window: int | None = Field(default=None, gt=0)

    @field_validator("documents", mode="before")
    @classmethod
    def _documents_handle(cls, documents: Any) -> DocumentHandle | None:
        return DocumentHandle.wrap(documents)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serializes the class."""
        return "SharedLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The model's context window and interface; LlamaIndex's own defaults where they are not known yet.

        - `context_window`, unless it was set: what is read for one answer. Documents may be longer: of a model that
          quotes, it is the window, and passages are searched in documents of any length.
        - `is_function_calling_model` holds for every model: LlamaIndex's function agents and programs refuse others,
          and calls, generated along a grammar, fit their schema with any. `calls_tools()` says whether the model was
          made to choose tools and to fill in their arguments.
        """
        return LLMMetadata(
            context_window=self.context_window or self.context_tokens() or DEFAULT_CONTEXT_WINDOW,
            num_output=self.max_tokens or DEFAULT_NUM_OUTPUTS,
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=self.model_name,
        )

    def to_payload(self) -> dict[str, Any]:
        """Return what events report of the model; of its documents, the fingerprint."""
        payload = super().to_payload()
        return payload if self.documents is None else {**payload, "documents": str(self.documents)}

    @property
    def tokenizer(self) -> Callable[[str], list[int]]:
        """The model's tokenizer, for `Settings.tokenizer`."""
        encode = self.get_engine().tokenizer.encode
        return lambda text: encode(text).ids.tolist()

    @worded_errors()
    def with_documents(self, documents: Any) -> Self:
        """Return a copy that answers from `documents`; they are read and compressed now, before the first question.

        Raises:
            DocumentError: documents that cannot be read.
            WindowError: more documents than `context_window`.
        """
        handle = DocumentHandle.wrap(documents)
        if handle is None:
            raise InputError("with_documents(None) names no documents", remedy=["give some", "use the model as it is"])
        engine = self.get_engine()
        library = handle.documents.library(engine)
        check_size(library, self.context_window)
        engine.read(library)
        return self.model_copy(update={"documents": handle})

    # ------------------------------------------------------------------------------------------ the eight methods
    # None calls another, so callbacks see each call once; documents are under a handle before they see it.

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
        response: ChatResponse = self._chat(messages, **with_document_handle(kwargs))
        return response

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat` for asyncio: the event loop goes on, and cancelling the task stops the model."""
        response: ChatResponse = await self._achat(messages, **await awith_document_handle(kwargs))
        return response

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """`chat`, piece by piece: each response holds all text so far, and `delta`; the last one also `raw`."""
        responses: ChatResponseGen = self._stream_chat(messages, **with_document_handle(kwargs))
        return responses

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """`stream_chat` for asyncio."""
        responses: ChatResponseAsyncGen = await self._astream_chat(messages, **await awith_document_handle(kwargs))
        return responses

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a prompt, as `chat` answers a user's message."""
        response: CompletionResponse = self._complete(prompt, **with_document_handle(kwargs))
        return response

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """`complete` for asyncio."""
        response: CompletionResponse = await self._acomplete(prompt, **await awith_document_handle(kwargs))
        return response

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """`complete`, piece by piece, as `stream_chat`."""
        responses: CompletionResponseGen = self._stream_complete(prompt, **with_document_handle(kwargs))
        return responses

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """`stream_complete` for asyncio."""
        responses: CompletionResponseAsyncGen = await self._astream_complete(
            prompt, **await awith_document_handle(kwargs)
        )
        return responses

    # ------------------------------------------------------------------------------------------ inside

    @llm_chat_callback()
    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        request = self._request(messages, kwargs)
        return chat_response(answer(request), request.details)

    @llm_chat_callback()
    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        request = await self._arequest(messages, kwargs)
        return chat_response(await aanswer(request), request.details)

    @llm_chat_callback()
    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return _responses(self._request(messages, kwargs), chat_piece, chat_response)

    @llm_chat_callback()
    async def _astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        return _aresponses(await self._arequest(messages, kwargs), chat_piece, chat_response)

    @llm_completion_callback()
    def _complete(self, prompt: str, **kwargs: Any) -> CompletionResponse:
        request = self._request(_as_messages(prompt), kwargs)
        return completion_response(answer(request), request.details)

    @llm_completion_callback()
    async def _acomplete(self, prompt: str, **kwargs: Any) -> CompletionResponse:
        request = await self._arequest(_as_messages(prompt), kwargs)
        return completion_response(await aanswer(request), request.details)

    @llm_completion_callback()
    def _stream_complete(self, prompt: str, **kwargs: Any) -> CompletionResponseGen:
        return _responses(self._request(_as_messages(prompt), kwargs), completion_piece, completion_response)

    @llm_completion_callback()
    async def _astream_complete(self, prompt: str, **kwargs: Any) -> CompletionResponseAsyncGen:
        return _aresponses(await self._arequest(_as_messages(prompt), kwargs), completion_piece, completion_response)

    def _request(self, messages: Sequence[ChatMessage], arguments: dict[str, Any]) -> Request:
        return request_from(self, self.documents, messages, arguments, context_window=self.context_window)

    async def _arequest(self, messages: Sequence[ChatMessage], arguments: dict[str, Any]) -> Request:
        return await asyncio.to_thread(self._request, messages, arguments)


def _as_messages(prompt: str) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole.USER, content=prompt)]


def _responses(
    request: Request, convert_piece: Callable[..., Any], convert_answer: Callable[..., Any]
) -> Generator[Any, None, None]:
    text = thoughts = ""
    for piece in stream(request):
        if isinstance(piece, str):
            text, thoughts = _extended(text, thoughts, piece)
            yield convert_piece(text, thoughts, piece)
        else:
            yield convert_answer(piece, request.details, delta="")


async def _aresponses(
    request: Request, convert_piece: Callable[..., Any], convert_answer: Callable[..., Any]
) -> AsyncGenerator[Any, None]:
    text = thoughts = ""
    async with aclosing(astream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, str):
                text, thoughts = _extended(text, thoughts, piece)
                yield convert_piece(text, thoughts, piece)
            else:
                yield convert_answer(piece, request.details, delta="")


def _extended(text: str, thoughts: str, piece: str) -> tuple[str, str]:
    """Return the text and the thoughts so far with another piece."""
    return (text, thoughts + piece) if isinstance(piece, ThoughtPiece) else (text + piece, thoughts)

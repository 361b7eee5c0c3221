"""`ChatSharedLLM`: a chat model of LangChain that reads whole document sets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.model_profile import ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import ContextThreadPoolExecutor
from pydantic import ConfigDict, Field, field_serializer, field_validator, model_validator

from sharedllm_core import Answer, DocumentError, InputError, SharedLLMEngine, TreeCache, WindowError

from .._asking import aanswer, answer, astream, stream
from .._engines import engine_of
from .._formats import choice_of_tool, constraint_of, strings_of
from .binding import BoundChat
from .calls import OPTIONS, Call, call_of, handled
from .documents import DocumentSet, given_twice
from .output import Told, last_chunk, message_of
from .structured import structured_output, tools_of

__all__ = ["ChatSharedLLM"]

_MAX_INPUT_TOKENS = 131_072
_THREADS = 16  # that the prompts of one call of `generate` wait in: those being answered, and those next in line
#: Parameters that other chat models have, and that mean nothing for a model in the same process.
_WITHOUT_MEANING = {"api_key", "max_retries", "base_url"}
_IDENTIFYING = {
    "model",
    "stop",
    "evidence_text",
    "documents_from_prompt",
    "min_document_tokens",
    "dtype",
    "policy",
}


class ChatSharedLLM(BaseChatModel):
    """A chat model that takes whole document sets: 128K tokens and more, compressed once, cached, and answered from.

    Documents come by `documents=` (here, in `bind`, in `invoke`), by `with_documents`, as content blocks of messages,
    or in the prompts of existing chains, where they are found. The weights are loaded at first use, once in a process.

    Attributes:
        model: folder or hub id of a checkpoint; `None` for the model of the package.
        documents: paths, Documents of LangChain or of sharedllm, or a `Library`. Kept under a handle of which
            LangChain's traces see the fingerprint alone.
        temperature, top_p, top_k, repetition_penalty, seed, num_evidence: see `AnswerSettings`.
        max_tokens: the most tokens to write.
        stop: strings that end an answer; not one that has to fit a schema or to call a tool.
        streaming: generate by streaming also when invoked.
        timeout: seconds after which a call is given up, with `TimeoutError`.
        evidence_text: whether `response_metadata["evidence"]`, and so traces, hold the text of spans of `documents`.
            By default they name document and characters; `evidence_documents` looks the text up.
        documents_from_prompt: whether long texts in messages are read as documents. What was taken stands in
            `response_metadata["documents_from_messages"]`.
        min_document_tokens: how long a text in a message must be to be taken for a document.
        tree_cache: where trees are kept; by default memory and the user's cache folder.
        engine: an engine to use instead of loading `model`.
        device, dtype, policy: of `SharedLLMEngine.from_pretrained`.
    """

    model_config = ConfigDict(protected_namespaces=())

    model: str | None = None
    documents: Any = Field(default=None, repr=False)
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int | None = None
    stop: list[str] | None = None
    seed: int | None = None
    streaming: bool = False
    timeout: float | None = None
    num_evidence: int = 5
    evidence_text: bool = False
    documents_from_prompt: bool = True
    min_document_tokens: int = 400
    tree_cache: TreeCache | None = Field(default=None, repr=False, exclude=True)
    engine: SharedLLMEngine | None = Field(default=None, repr=False, exclude=True)
    device: str | None = None
    dtype: str | None = None
    policy: str | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_several(cls, stop: Any) -> Any:
        return [stop] if isinstance(stop, str) else stop

    @field_validator("documents", mode="before")
    @classmethod
    def _under_a_handle(cls, documents: Any) -> DocumentSet | None:
        if isinstance(documents, Mapping) and set(documents) == {"fingerprint"}:
            raise InputError(
                f"this model was saved without the text of its documents (fingerprint {documents['fingerprint']}); "
                "give them again with documents=…, or documents=None for none"
            )
        return DocumentSet.of(documents)

    @field_serializer("documents")
    def _without_text(self, documents: DocumentSet | None) -> dict[str, str] | None:
        return None if documents is None else {"fingerprint": documents.fingerprint}

    @model_validator(mode="before")
    @classmethod
    def _known_parameters(cls, given: Any) -> Any:
        if isinstance(given, dict):
            known = set(cls.model_fields) | _WITHOUT_MEANING | {"model_name"}
            if unknown := sorted(set(given) - known):
                raise InputError(f"unknown parameters {unknown}; known are {sorted(set(cls.model_fields))}")
            if "model_name" in given:
                given = {"model": given["model_name"], **{k: v for k, v in given.items() if k != "model_name"}}
        return given

    # ------------------------------------------------------------------------------------------ what LangChain asks

    @property
    def _llm_type(self) -> str:
        return "sharedllm"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """What decides about answers: LangChain's caches key on it. Documents are in it by their fingerprint."""
        names = sorted(_IDENTIFYING.union(OPTIONS))
        told = {name: getattr(self, name) for name in names}
        told["documents"] = None if self.documents is None else self.documents.fingerprint
        if self.engine is not None:
            told["engine"] = self.engine.answer_fingerprint
        return told

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = LangSmithParams(
            ls_provider="sharedllm",
            ls_model_name=str(kwargs.get("model") or self.model_name),
            ls_model_type="chat",
            ls_temperature=kwargs.get("temperature", self.temperature),
        )
        if (most := kwargs.get("max_tokens", self.max_tokens)) is not None:
            params["ls_max_tokens"] = most
        if stops := strings_of(stop) or strings_of(self.stop):
            params["ls_stop"] = list(stops)
        return params

    def _resolve_model_profile(self) -> ModelProfile:
        return ModelProfile(
            name=self.model_name,
            max_input_tokens=_MAX_INPUT_TOKENS,
            text_inputs=True,
            image_inputs=False,
            audio_inputs=False,
            video_inputs=False,
            text_outputs=True,
            tool_calling=True,
            tool_choice=True,
            structured_output=True,
        )

    def get_token_ids(self, text: str) -> list[int]:
        """The model's own tokens, as `trim_messages(token_counter=llm)` and others count them."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        ids: list[int] = self.get_engine().tokenizer.encode(text).ids.tolist()
        return ids

    @property
    def model_name(self) -> str:
        """The name under which answers, usage and traces know it."""
        return self.model or "sharedllm-default"

    # ------------------------------------------------------------------------------------------ documents

    def with_documents(self, documents: Any) -> Self:
        """A copy that answers from `documents`. They are read and compressed now, so that questions need not wait.

        Raises:
            DocumentError: documents that cannot be read.
        """
        handle = DocumentSet.of(documents)
        if handle is None:
            raise DocumentError(f"documents=None are no documents; give {DocumentSet.kinds}")
        engine = self.get_engine()
        engine.read(handle.library(engine))
        return self.model_copy(update={"documents": handle})

    def bind(self, **kwargs: Any) -> Any:
        """A `BoundChat`: what is bound stays so in `bind_tools` and `with_structured_output`, too.

        Raises:
            InputError: documents, where the model has some already.
        """
        documents = DocumentSet.of(kwargs.pop("documents", None))
        if documents is None:
            return BoundChat(bound=self, kwargs=kwargs)
        if self.documents is not None:
            raise given_twice()
        return BoundChat(bound=self.model_copy(update={"documents": documents}), kwargs=kwargs)

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """As LangChain's, but a `BoundChat`."""
        return BoundChat(bound=self).with_config(config, **kwargs)

    def with_listeners(self, **listeners: Any) -> Any:
        """As LangChain's, but a `BoundChat`."""
        return BoundChat(bound=self).with_listeners(**listeners)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any],
        *,
        tool_choice: Any = None,
        parallel_tool_calls: bool | None = None,
        strict: bool | None = None,
        response_format: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """A copy that may call tools.

        Args:
            tools: functions, pydantic models, TypedDicts, LangChain's tools, or schemas of OpenAI's form.
            tool_choice: `None` or `"auto"`; `"any"`, `"required"` or `True` for at least one call; `"none"`; the name
                of a tool, alone or in OpenAI's form.
            parallel_tool_calls: whether one answer may hold several calls; by default it may.
            strict: arguments always fit their schema, so this changes nothing.
            response_format: what an answer that calls no tool keeps to, in OpenAI's form.
            kwargs: bound, too.

        Raises:
            InputError: a choice that is none of the tools, or a schema that cannot be kept to.
        """
        formatted = tools_of(tools)
        bound: dict[str, Any] = {"tools": formatted, "tool_choice": choice_of_tool(tool_choice, formatted), **kwargs}
        if parallel_tool_calls is not None:
            bound["parallel_tool_calls"] = parallel_tool_calls
        if response_format is not None:
            constraint_of(response_format)
            bound["response_format"] = response_format
        return self.bind(**bound)

    def with_structured_output(
        self,
        schema: Any = None,
        *,
        method: str = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Answers that fit a schema, whatever the model writes.

        Args:
            schema: a pydantic model, whose instances come back; a TypedDict or a JSON schema, for which dicts do.
            method: `"json_schema"` (the answer is JSON), `"function_calling"` (the answer is a call of a tool), or
                `"json_mode"` (JSON; of the schema, where one is given).
            include_raw: give `{"raw", "parsed", "parsing_error"}` in place of the parsed output.
            strict: output always fits, so this changes nothing.
            kwargs: bound, too.

        Raises:
            InputError: a method that is not known, or a schema that cannot be kept to.
        """
        return structured_output(self, schema, method=method, include_raw=include_raw, **kwargs)

    # ------------------------------------------------------------------------------------------ calls

    def generate(self, messages: list[list[BaseMessage]], *args: Any, **kwargs: Any) -> LLMResult:
        """As LangChain's; several prompts are answered side by side."""
        kwargs = handled(kwargs)
        if len(messages) < 2:
            return super().generate(messages, *args, **kwargs)
        run_id = kwargs.pop("run_id", None)
        ids = [run_id, *[None] * (len(messages) - 1)]

        def one(prompt: list[BaseMessage], run_id: Any) -> LLMResult:
            return super(ChatSharedLLM, self).generate([prompt], *args, run_id=run_id, **kwargs)

        with ContextThreadPoolExecutor(min(len(messages), _THREADS)) as threads:
            parts = list(threads.map(one, messages, ids))
        merged = LLMResult(
            generations=[part.generations[0] for part in parts],
            llm_output=self._combine_llm_outputs([part.llm_output for part in parts]),
        )
        merged.run = [info for part in parts for info in part.run or []] or None
        return merged

    async def agenerate(self, messages: list[list[BaseMessage]], *args: Any, **kwargs: Any) -> LLMResult:
        """As LangChain's."""
        return await super().agenerate(messages, *args, **await self._ahandled(kwargs))

    def stream(self, input: LanguageModelInput, *args: Any, **kwargs: Any) -> Iterator[AIMessageChunk]:  # noqa: A002
        """As LangChain's."""
        yield from super().stream(input, *args, **handled(kwargs))

    async def astream(  # noqa: D102
        self,
        input: LanguageModelInput,  # noqa: A002
        *args: Any,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        given = await self._ahandled(kwargs)
        async for chunk in super().astream(input, *args, **given):
            yield chunk

    def stream_events(self, input: LanguageModelInput, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        """As LangChain's."""
        return super().stream_events(input, *args, **handled(kwargs))

    def astream_events(self, input: LanguageModelInput, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        """As LangChain's."""
        if kwargs.get("version") == "v3":
            return self._awaited_events(input, *args, **kwargs)
        return super().astream_events(input, *args, **handled(kwargs))

    async def _awaited_events(self, input: LanguageModelInput, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        events: Any = super().astream_events(input, *args, **await self._ahandled(kwargs))
        return await events

    async def _ahandled(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """`handled`, with what LangChain asks on the event loop made beside it: documents are read for it."""
        given = handled(kwargs)
        documents: DocumentSet | None = given.get("documents")

        def identified() -> None:
            _ = self._identifying_params, documents is None or documents.fingerprint

        await asyncio.to_thread(identified)
        return given

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = call_of(self, messages, stop, kwargs)
        try:
            return _result(call, answer(call.engine, call.ask, self._timeout(kwargs)))
        except WindowError as error:
            raise ContextOverflowError(str(error)) from error

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        call = await asyncio.to_thread(call_of, self, messages, stop, kwargs)
        try:
            return _result(call, await aanswer(call.engine, call.ask, self._timeout(kwargs)))
        except WindowError as error:
            raise ContextOverflowError(str(error)) from error

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        try:
            call = call_of(self, messages, stop, kwargs)
            for piece in stream(call.engine, call.ask, self._timeout(kwargs)):
                yield _chunk(piece, call.told)
        except WindowError as error:
            raise ContextOverflowError(str(error)) from error

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        try:
            call = await asyncio.to_thread(call_of, self, messages, stop, kwargs)
            async with aclosing(astream(call.engine, call.ask, self._timeout(kwargs))) as pieces:
                async for piece in pieces:
                    yield _chunk(piece, call.told)
        except WindowError as error:
            raise ContextOverflowError(str(error)) from error

    # ------------------------------------------------------------------------------------------ inside

    def get_engine(self, model: str | None = None) -> SharedLLMEngine:
        """The engine that answers, or that of another `model`; loaded at first use."""
        if model is None and self.engine is not None:
            return self.engine
        more = {name: value for name in ("device", "dtype", "policy") if (value := getattr(self, name)) is not None}
        return engine_of(model or self.model, self.tree_cache, **more)

    def _timeout(self, kwargs: Mapping[str, Any]) -> float | None:
        timeout: float | None = kwargs.get("timeout", self.timeout)
        return timeout


def _chunk(piece: str | Answer, told: Told) -> ChatGenerationChunk:
    return ChatGenerationChunk(
        message=AIMessageChunk(content=piece) if isinstance(piece, str) else last_chunk(piece, told)
    )


def _result(call: Call, answer: Answer) -> ChatResult:
    message = message_of(answer, call.told)
    return ChatResult(generations=[ChatGeneration(message=message)], llm_output={"model_name": call.told.model_name})

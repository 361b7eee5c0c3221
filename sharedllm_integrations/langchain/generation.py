"""The part of `ChatSharedLLM` that generates: LangChain's entry points and the hooks that they call."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.exceptions import ContextOverflowError
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult, LLMResult
from langchain_core.runnables.config import ContextThreadPoolExecutor
from pydantic import Field

from sharedllm_core import WindowError

from .._shared.engine_model import EngineModel
from .._shared.request import Request
from .._shared.serving import aanswer, answer, astream, stream
from .documents import DocumentSet
from .output import chat_chunk, chat_result
from .requests import request_from, with_document_handle

__all__ = ["GeneratingModel"]

_THREADS = 16  # for the prompts of one call of `generate`: a batch being answered, and the next one in the queue


class GeneratingModel(EngineModel, BaseChatModel):
    """Generates answers, whole and streamed, blocking and for asyncio.

    LangChain's entry points are overridden only to put documents under a handle before LangChain sees the arguments,
    and to answer several prompts in one batch.
    """

    documents: Any = Field(default=None, repr=False)

    def generate(self, messages: list[list[BaseMessage]], *args: Any, **kwargs: Any) -> LLMResult:
        """Generate as in LangChain; several prompts are answered in batches."""
        kwargs = with_document_handle(kwargs)
        if len(messages) < 2:
            return super().generate(messages, *args, **kwargs)
        run_id = kwargs.pop("run_id", None)
        run_ids = [run_id, *[None] * (len(messages) - 1)]

        def generate_one(prompt: list[BaseMessage], run_id: Any) -> LLMResult:
            return super(GeneratingModel, self).generate([prompt], *args, run_id=run_id, **kwargs)

        with ContextThreadPoolExecutor(min(len(messages), _THREADS)) as threads:
            parts = list(threads.map(generate_one, messages, run_ids))
        merged = LLMResult(
            generations=[part.generations[0] for part in parts],
            llm_output=self._combine_llm_outputs([part.llm_output for part in parts]),
        )
        merged.run = [info for part in parts for info in part.run or []] or None
        return merged

    async def agenerate(self, messages: list[list[BaseMessage]], *args: Any, **kwargs: Any) -> LLMResult:
        """Generate as in LangChain."""
        return await super().agenerate(messages, *args, **await self._prepare_arguments(kwargs))

    def stream(self, input: LanguageModelInput, *args: Any, **kwargs: Any) -> Iterator[AIMessageChunk]:  # noqa: A002
        """Stream as in LangChain."""
        yield from super().stream(input, *args, **with_document_handle(kwargs))

    async def astream(  # noqa: D102
        self,
        input: LanguageModelInput,  # noqa: A002
        *args: Any,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        arguments = await self._prepare_arguments(kwargs)
        async for chunk in super().astream(input, *args, **arguments):
            yield chunk

    def stream_events(self, input: LanguageModelInput, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        """Stream events as in LangChain."""
        return super().stream_events(input, *args, **with_document_handle(kwargs))

    def astream_events(self, input: LanguageModelInput, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        """Stream events as in LangChain."""
        if kwargs.get("version") == "v3":
            return self._astream_events_v3(input, *args, **kwargs)
        return super().astream_events(input, *args, **with_document_handle(kwargs))

    async def _astream_events_v3(self, input: LanguageModelInput, *args: Any, **kwargs: Any) -> Any:  # noqa: A002
        events: Any = super().astream_events(input, *args, **await self._prepare_arguments(kwargs))
        return await events

    async def _prepare_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Put documents under a handle, and load and hash in a thread what LangChain would read on the event loop."""
        arguments = with_document_handle(kwargs)
        documents: DocumentSet | None = arguments.get("documents")

        def compute_identity() -> None:
            _ = self._get_invocation_params(**arguments), documents is None or documents.fingerprint

        await asyncio.to_thread(compute_identity)
        return arguments

    # ------------------------------------------------------------------------------------------ hooks of LangChain

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        """Keep the model's name, which all prompts of a call share."""
        return next((output for output in llm_outputs if output), {})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with _langchain_errors():
            request = self._request(messages, stop, kwargs)
            return chat_result(answer(request), request.details)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with _langchain_errors():
            request = await asyncio.to_thread(self._request, messages, stop, kwargs)
            return chat_result(await aanswer(request), request.details)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with _langchain_errors():
            request = self._request(messages, stop, kwargs)
            for piece in stream(request):
                yield chat_chunk(piece, request.details)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with _langchain_errors():
            request = await asyncio.to_thread(self._request, messages, stop, kwargs)
            async with aclosing(astream(request)) as pieces:
                async for piece in pieces:
                    yield chat_chunk(piece, request.details)

    def _request(self, messages: list[BaseMessage], stop: list[str] | None, arguments: Mapping[str, Any]) -> Request:
        with_citations = self.output_version == "v1"
        return request_from(self, self.documents, messages, stop, arguments, with_citations=with_citations)


@contextmanager
def _langchain_errors() -> Iterator[None]:
    """Raise `ContextOverflowError` where the running text does not fit the window."""
    try:
        yield
    except WindowError as error:
        raise ContextOverflowError(str(error)) from error

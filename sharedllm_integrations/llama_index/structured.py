"""The part of `SharedLLM` that answers with objects: JSON generated along a pydantic class's schema always fits it."""

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.llm import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.program.utils import process_streaming_objects
from llama_index.core.prompts import PromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher

from .._shared.answer_options import response_constraint
from .._shared.class_schemas import class_schema, warn_of_checks
from .._shared.errors import worded_errors

__all__ = ["StructuredOutput", "check_output_class", "response_format"]

_Output = TypeVar("_Output", bound=BaseModel)
_dispatcher = get_dispatcher(__name__)


def response_format(output_cls: type[BaseModel]) -> dict[str, Any]:
    """Return the `response_format` of a class, with everything that a grammar can enforce.

    Raises:
        InputError: a class without a JSON schema.
    """
    named = {"name": output_cls.__name__, "schema": class_schema(output_cls)}
    return {"type": "json_schema", "json_schema": named}


def check_output_class(output_cls: type[BaseModel]) -> None:
    """Warn of what a class checks beyond its schema.

    Raises:
        InputError: a schema that cannot be enforced.
    """
    with worded_errors():
        response_constraint(response_format(output_cls))
        warn_of_checks(output_cls)


class StructuredOutput(LLM):
    """Predicts objects of pydantic classes, whole and streamed, blocking and for asyncio."""

    def as_structured_llm(self, output_cls: type[BaseModel], **kwargs: Any) -> StructuredLLM:
        """Return a model that answers with objects of a class.

        Warns of what the class checks beyond its schema.

        Raises:
            InputError: a schema that cannot be enforced.
        """
        check_output_class(output_cls)
        structured: StructuredLLM = super().as_structured_llm(output_cls, **kwargs)
        return structured

    @_dispatcher.span
    def structured_predict(
        self,
        output_cls: type[_Output],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> _Output:
        """Predict an object of a class.

        Args:
            output_cls: a pydantic class.
            prompt: the question.
            llm_kwargs: arguments of `chat`.
            prompt_args: fill in the prompt.

        Raises:
            InputError: a schema that cannot be enforced.
            ValidationError: the class checks more than its schema states.
        """
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            return super().structured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        _dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        messages = self._structured_messages(prompt, prompt_args)
        response = self.chat(messages, **_chat_arguments(output_cls, llm_kwargs))
        return self._structured(output_cls, response)

    @_dispatcher.span
    async def astructured_predict(
        self,
        output_cls: type[_Output],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> _Output:
        """`structured_predict` for asyncio."""
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            return await super().astructured_predict(output_cls, prompt, llm_kwargs, **prompt_args)
        _dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        messages = self._structured_messages(prompt, prompt_args)
        response = await self.achat(messages, **_chat_arguments(output_cls, llm_kwargs))
        return self._structured(output_cls, response)

    def _structured_stream_call(
        self,
        output_cls: type[_Output],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            yield from super()._structured_stream_call(output_cls, prompt, llm_kwargs, **prompt_args)
            return
        messages = self._structured_messages(prompt, prompt_args)
        found: Any = None
        for response in self.stream_chat(messages, **_chat_arguments(output_cls, llm_kwargs)):
            found = _partial(response, output_cls, found)
            yield found

    async def _structured_astream_call(
        self,
        output_cls: type[_Output],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        if self.pydantic_program_mode != PydanticProgramMode.DEFAULT:
            return await super()._structured_astream_call(output_cls, prompt, llm_kwargs, **prompt_args)
        messages = self._structured_messages(prompt, prompt_args)
        responses = await self.astream_chat(messages, **_chat_arguments(output_cls, llm_kwargs))

        async def objects() -> AsyncGenerator[Any, None]:
            found: Any = None
            async for response in responses:
                found = _partial(response, output_cls, found)
                yield found

        return objects()

    def _structured_messages(self, prompt: PromptTemplate, prompt_args: dict[str, Any]) -> Sequence[ChatMessage]:
        return self._extend_messages(prompt.format_messages(llm=self, **prompt_args))

    def _structured(self, output_cls: type[_Output], response: ChatResponse) -> _Output:
        output = output_cls.model_validate_json(response.message.content or "")
        _dispatcher.event(LLMStructuredPredictEndEvent(output=output))
        return output


def _chat_arguments(output_cls: type[BaseModel], llm_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    # Programs send arguments about tools, which do not apply here: the answer itself is the object.
    arguments = {name: value for name, value in (llm_kwargs or {}).items() if "tool" not in name}
    check_output_class(output_cls)
    return {**arguments, "response_format": response_format(output_cls)}


def _partial(response: ChatResponse, output_cls: type[BaseModel], found: Any) -> Any:
    return process_streaming_objects(response, output_cls, cur_objects=None if found is None else [found])

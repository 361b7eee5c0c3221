"""The part of `SharedLLM` that calls tools. Arguments are generated along the tools' schemas."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, ToolCallBlock
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.tools.types import BaseTool

from .._shared.answer_options import tool_choice
from .._shared.class_schemas import class_schema, warn_of_checks

__all__ = ["ToolCalling"]

_NOT_GIVEN = object()
_PARAMETERS = ("type", "properties", "required", "$defs")  # what LlamaIndex puts into a tool's parameters


class ToolCalling(FunctionCallingLLM):
    """Prepares chats with tools, and reads the tool calls of their responses."""

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        messages = list(chat_history or [])
        if user_msg is not None:
            message = ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
            messages.append(message)
        listed = [_openai_tool(tool) for tool in tools]
        # A program that streams an object gives no choice, and needs the object.
        required = tool_required or (kwargs.get("tool_choice", _NOT_GIVEN) is None and _is_object_tool(tools))
        choice = tool_choice(kwargs.pop("tool_choice", None), listed)
        return {
            "messages": messages,
            "tools": listed,
            "tool_choice": "required" if required and choice == "auto" else choice,
            "parallel_tool_calls": allow_parallel_tool_calls,
            **kwargs,
        }

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Return the tool calls of a response.

        Raises:
            ValueError: there are none, and `error_on_no_tool_call` is set.
        """
        calls = [
            ToolSelection(tool_id=block.tool_call_id or "", tool_name=block.tool_name, tool_kwargs=_arguments(block))
            for block in response.message.blocks
            if isinstance(block, ToolCallBlock)
        ]
        if not calls and error_on_no_tool_call:
            raise ValueError(
                f"the answer calls no tool: {response.message.content!r:.200}; have it call one with "
                "tool_required=True, or allow this with error_on_no_tool_call=False"
            )
        return calls


def _openai_tool(tool: BaseTool) -> dict[str, Any]:
    """Convert a tool to OpenAI's form, with everything of its arguments that a grammar can enforce."""
    converted = tool.metadata.to_openai_tool(skip_length_check=True)
    model = tool.metadata.fn_schema
    if model is None:
        return converted
    schema = class_schema(model)
    warn_of_checks(model)
    parameters = {name: schema[name] for name in _PARAMETERS if name in schema}
    return {**converted, "function": {**converted["function"], "parameters": parameters}}


def _is_object_tool(tools: Sequence[BaseTool]) -> bool:
    """Whether the only tool is one that LlamaIndex's programs made, to receive an object of a class."""
    modules = [getattr(getattr(tool, "real_fn", None), "__module__", None) for tool in tools]
    return modules == [get_function_tool.__module__]


def _arguments(block: ToolCallBlock) -> dict[str, Any]:
    assert isinstance(block.tool_kwargs, dict), "this model generates objects"
    return block.tool_kwargs

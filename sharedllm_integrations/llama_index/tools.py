"""Calling tools: what LlamaIndex asks of a model that calls functions. Calls are written along the tools' schemas."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole, ToolCallBlock
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.tools.types import BaseTool

from .._formats import choice_of_tool

__all__ = ["ToolCalling"]

_OPEN = object()  # for a choice that was not spoken of


class ToolCalling(FunctionCallingLLM):
    """The part of `SharedLLM` that calls tools."""

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
            asked = ChatMessage(role=MessageRole.USER, content=user_msg) if isinstance(user_msg, str) else user_msg
            messages.append(asked)
        listed = [tool.metadata.to_openai_tool(skip_length_check=True) for tool in tools]
        # A program that streams an object leaves the choice open, and yet nothing but the object will do.
        required = tool_required or (kwargs.get("tool_choice", _OPEN) is None and _makes_an_object(tools))
        choice = choice_of_tool(kwargs.pop("tool_choice", None), listed)
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
        """The calls of a response.

        Raises:
            ValueError: there are none, and there should be.
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


def _makes_an_object(tools: Sequence[BaseTool]) -> bool:
    """Whether there is one tool alone, which LlamaIndex's programs made to be given an object of a class."""
    made_in = [getattr(getattr(tool, "real_fn", None), "__module__", None) for tool in tools]
    return made_in == [get_function_tool.__module__]


def _arguments(block: ToolCallBlock) -> dict[str, Any]:
    assert isinstance(block.tool_kwargs, dict), "this model writes objects"
    return block.tool_kwargs

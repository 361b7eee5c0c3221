"""LangChain's messages in the engine's form: roles, content, tool calls and thoughts."""

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from .._shared.conversation import ParsedMessage
from .content import read_content, read_thoughts

__all__ = ["parse_message"]

_ROLES = {HumanMessage: "user", SystemMessage: "system", AIMessage: "assistant", ToolMessage: "tool"}


def parse_message(message: BaseMessage, number: int) -> ParsedMessage:
    """Convert a message, given its number in the conversation.

    Raises:
        InputError: a content block that is neither text nor a document.
    """
    text, documents = read_content(message, f"message {number + 1}")
    return ParsedMessage(_role(message), text, documents, _tool_fields(message), read_thoughts(message))


def _role(message: BaseMessage) -> str:
    for kind, role in _ROLES.items():
        if isinstance(message, kind):
            return role
    return message.role if isinstance(message, ChatMessage) else message.type


def _tool_fields(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, AIMessage) and message.tool_calls:
        calls = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
            for call in message.tool_calls
        ]
        return {"tool_calls": calls}
    if isinstance(message, ToolMessage):
        name = {"name": message.name} if message.name else {}
        return {"tool_call_id": message.tool_call_id, **name}
    return {}

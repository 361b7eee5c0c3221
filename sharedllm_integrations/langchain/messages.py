"""LangChain's messages in the engine's form: roles, content, tool calls and thoughts."""

from typing import Any

from langchain_core.documents import Document as LangChainDocument
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from sharedllm_core import Document

from .._shared.split_messages import ParsedMessage
from .content import read_content, read_thoughts
from .documents import from_langchain

__all__ = ["parse_message"]

_ROLES = {HumanMessage: "user", SystemMessage: "system", AIMessage: "assistant", ToolMessage: "tool"}


def parse_message(message: BaseMessage, number: int) -> ParsedMessage:
    """Convert a message, given its number in the conversation.

    Raises:
        InputError: a content block that is neither text nor a document.
    """
    texts, documents = read_content(message, f"message {number + 1}")
    tool_fields, thoughts = _tool_fields(message), read_thoughts(message)
    return ParsedMessage(_role(message), texts, documents, tool_fields, thoughts, _artifacts(message))


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


def _artifacts(message: BaseMessage) -> list[Document]:
    """The documents that a retriever's tool returned beside their text."""
    artifact = message.artifact if isinstance(message, ToolMessage) else None
    found = artifact if isinstance(artifact, list) else [artifact]
    return [from_langchain(document) for document in found if isinstance(document, LangChainDocument)]

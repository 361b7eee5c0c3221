"""LangChain's messages to the engine's: roles, calls of tools, and the documents that stand in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from sharedllm_core import Document, InputError

from .._found_documents import find_documents

__all__ = ["Conversation", "read_messages"]

_ROLES = {HumanMessage: "user", SystemMessage: "system", AIMessage: "assistant", ToolMessage: "tool"}
_SAID_ELSEWHERE = {"tool_call", "tool_call_chunk", "invalid_tool_call", "reasoning", "server_tool_call"}
_TEXT_TYPES = ("text/", "application/json", "application/xml")


@dataclass
class Conversation:
    """Messages for the engine, and the documents that they brought along.

    Attributes:
        messages: role, content, and what belongs to calls of tools.
        documents: of content blocks and of prompts.
        moved: for `response_metadata`: which messages documents were taken from.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)


def read_messages(messages: Sequence[BaseMessage], is_long: Callable[[str], bool] | None) -> Conversation:
    """Read a conversation.

    Args:
        messages: of LangChain.
        is_long: whether a piece of text is long enough to be a document; `None` to leave texts as they are.

    Raises:
        InputError: no messages, or a content block that is no text and no document.
    """
    if not messages:
        raise InputError("there are no messages; give a question")
    read = Conversation()
    for number, message in enumerate(messages):
        text, attached = _content(message, number, len(read.documents))
        if attached:
            read.documents += attached
            read.moved.append({"message": number, "documents": [one.id for one in attached], "from": "content blocks"})
        if is_long is not None and not isinstance(message, AIMessage):
            is_question = isinstance(message, HumanMessage)
            found = find_documents(text, is_long, len(read.documents) + 1, is_question=is_question)
            if found.documents:
                text = found.rest
                read.documents += found.documents
                names = [document.id for document in found.documents]
                read.moved.append({"message": number, "documents": names, "from": "text"})
        read.messages.append({"role": _role(message), "content": text, **_of_tools(message)})
    return read


def _role(message: BaseMessage) -> str:
    for kind, role in _ROLES.items():
        if isinstance(message, kind):
            return role
    return message.role if isinstance(message, ChatMessage) else message.type


def _of_tools(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, AIMessage) and message.tool_calls:
        calls = [
            {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["args"]}}
            for call in message.tool_calls
        ]
        return {"tool_calls": calls}
    if isinstance(message, ToolMessage):
        named = {"name": message.name} if message.name else {}
        return {"tool_call_id": message.tool_call_id, **named}
    return {}


def _content(message: BaseMessage, number: int, before: int) -> tuple[str, list[Document]]:
    """What a message says, and the documents in its blocks."""
    if isinstance(message.content, str):
        return message.content, []
    said: list[str] = []
    documents: list[Document] = []
    for block in message.content_blocks:
        kind = block["type"]
        if kind == "text":
            said.append(str(block.get("text", "")))
        elif kind in ("text-plain", "file"):
            documents.append(_document(dict(block), f"message {number + 1}, document {before + len(documents) + 1}"))
        elif kind == "non_standard":
            value: Any = block.get("value", {})
            source = value.get("source", {}) if isinstance(value, dict) else {}
            if isinstance(value, dict) and isinstance(value.get("json"), dict | list):
                said.append(str(value["json"]))
            elif source.get("type") == "text":
                documents.append(
                    Document(source["data"], id=value.get("title") or f"message {number + 1}, document {before + 1}")
                )
            elif isinstance(value, dict) and value.get("type") in ("tool_use", "tool_result", "thinking"):
                said += [value["content"]] if isinstance(value.get("content"), str) else []
            else:
                raise _no_text(value.get("type") if isinstance(value, dict) else value)
        elif kind not in _SAID_ELSEWHERE:
            raise _no_text(kind)
    return "\n\n".join(part for part in said if part), documents


def _document(block: dict[str, Any], name: str) -> Document:
    text = block.get("text")
    mime_type = str(block.get("mime_type") or "text/plain")
    if not isinstance(text, str) and isinstance(block.get("base64"), str) and mime_type.startswith(_TEXT_TYPES):
        from base64 import b64decode

        text = b64decode(block["base64"]).decode("utf-8", "replace")
    if not isinstance(text, str):
        raise _no_text(f"{block['type']} ({mime_type})")
    return Document(text, id=str(block.get("title") or block.get("id") or name))


def _no_text(kind: object) -> InputError:
    return InputError(
        f"a content block of type {kind!r} is neither text nor a document with text; give text, blocks of type "
        "'text-plain', or files by read_documents(…)"
    )

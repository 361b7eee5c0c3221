"""LangChain's messages to the engine's: roles, calls of tools, and the documents that stand in them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from sharedllm_core import Document, InputError

from .._found_documents import find_documents
from .content import read_content

__all__ = ["Conversation", "read_messages"]

_ROLES = {HumanMessage: "user", SystemMessage: "system", AIMessage: "assistant", ToolMessage: "tool"}


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


def read_messages(
    messages: Sequence[BaseMessage], is_long: Callable[[str], bool] | None, taken: Collection[str] = ()
) -> Conversation:
    """Read a conversation.

    Args:
        messages: of LangChain.
        is_long: whether a piece of text is long enough to be a document; `None` to leave texts as they are.
        taken: ids of other documents, which no document here gets.

    Raises:
        InputError: no messages, or a content block that is no text and no document.
    """
    if not messages:
        raise InputError("there are no messages; give a question")
    read = Conversation()
    for number, message in enumerate(messages):
        ids = {*taken, *(document.id for document in read.documents)}
        text, attached = read_content(message, f"message {number + 1}", ids)
        if attached:
            read.documents += attached
            read.moved.append({"message": number, "documents": [one.id for one in attached], "from": "content blocks"})
        if is_long is not None and not isinstance(message, AIMessage):
            is_question = isinstance(message, HumanMessage)
            ids.update(document.id for document in attached)
            found = find_documents(text, is_long, len(read.documents) + 1, ids, is_question=is_question)
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

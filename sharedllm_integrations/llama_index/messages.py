"""LlamaIndex's messages to the engine's: roles, calls of tools, and the documents that stand in them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from sharedllm_core import Document, InputError
from sharedllm_core.text.documents import read_documents

from .._document_set import free_name
from .._found_documents import find_documents
from .._text_types import text_of

__all__ = ["Conversation", "read_messages"]

_ROLES = {
    MessageRole.DEVELOPER: "system",
    MessageRole.FUNCTION: "tool",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
}
_NOT_SAID = (CachePoint, ThinkingBlock, ToolCallBlock)


@dataclass
class Conversation:
    """Messages for the engine, and the documents that they brought along.

    Attributes:
        messages: role, content, and what belongs to calls of tools.
        documents: of content blocks and of prompts.
        moved: for `raw`: which messages documents were taken from.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    moved: list[dict[str, Any]] = field(default_factory=list)


def read_messages(
    messages: Sequence[ChatMessage], is_long: Callable[[str], bool] | None, taken: Collection[str] = ()
) -> Conversation:
    """Read a conversation.

    Args:
        messages: of LlamaIndex.
        is_long: whether a piece of text is long enough to be a document; `None` to leave texts as they are.
        taken: ids of other documents, which no document here gets.

    Raises:
        InputError: no messages, or a content block that is no text and no document.
    """
    if not messages:
        raise InputError("there are no messages; give a question")
    read = Conversation()
    for number, message in enumerate(messages):
        role = _ROLES.get(message.role, message.role.value)
        ids = {*taken, *(document.id for document in read.documents)}
        text, attached = _content(message, ids)
        if attached:
            read.documents += attached
            read.moved.append({"message": number, "documents": [one.id for one in attached], "from": "content blocks"})
        if is_long is not None and role != "assistant":
            ids.update(document.id for document in attached)
            found = find_documents(text, is_long, len(read.documents) + 1, ids, is_question=role == "user")
            if found.documents:
                text = found.rest
                read.documents += found.documents
                names = [document.id for document in found.documents]
                read.moved.append({"message": number, "documents": names, "from": "text"})
        read.messages.append({"role": role, "content": text, **_of_tools(message)})
    return read


def _of_tools(message: ChatMessage) -> dict[str, Any]:
    calls = [
        {"id": block.tool_call_id, "type": "function", "function": {"name": block.tool_name, "arguments": arguments}}
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
        for arguments in [block.tool_kwargs]
    ]
    named = {name: message.additional_kwargs[name] for name in ("tool_call_id", "name") if _has(message, name)}
    return {"tool_calls": calls} if calls else named


def _has(message: ChatMessage, name: str) -> bool:
    return message.role in (MessageRole.TOOL, MessageRole.FUNCTION) and bool(message.additional_kwargs.get(name))


def _content(message: ChatMessage, taken: set[str]) -> tuple[str, list[Document]]:
    """What a message says, and the documents in its blocks."""
    said: list[str] = []
    documents: list[Document] = []
    for block in _flat(message.blocks):
        if isinstance(block, TextBlock):
            said.append(block.text)
        elif isinstance(block, DocumentBlock):
            document = _document(block)
            name = free_name(document.id, taken | {one.id for one in documents})
            documents.append(Document(document.text, id=name, metadata=document.metadata))
        elif not isinstance(block, _NOT_SAID):
            raise _no_text(type(block).__name__)
    return "\n\n".join(part for part in said if part), documents


def _flat(blocks: Iterable[Any]) -> Iterator[Any]:
    """Blocks, and in place of those that cite, what they hold."""
    for block in blocks:
        if isinstance(block, CitableBlock):
            yield from block.content
        elif isinstance(block, CitationBlock):
            yield block.cited_content
        else:
            yield block


def _document(block: DocumentBlock) -> Document:
    title = block.title if block.title not in (None, "input_document") else None
    if block.data is None and block.path is not None:
        path = Path(block.path)
        read = read_documents(path).documents[0]
        return Document(read.text, id=title or read.id, metadata=read.metadata)
    if block.data is None:
        raise InputError(
            f"the document block {block.title!r} names {block.url!r:.100}, and nothing is fetched from the network; "
            "give its data, or a path"
        )
    mime_type = block.document_mimetype or "text/plain"
    if (text := text_of(block.resolve_document().read(), mime_type)) is None:
        raise _no_text(f"DocumentBlock ({mime_type})")
    return Document(text, id=title or "document")


def _no_text(kind: str) -> InputError:
    return InputError(
        f"a content block of type {kind} is neither text nor a document with text; give TextBlocks, or DocumentBlocks "
        "with text or a path"
    )

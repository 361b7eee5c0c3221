"""LlamaIndex's messages in the engine's form: roles, text, documents in blocks, tool calls and thoughts."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
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
from sharedllm_core.text.documents.file_text import warn_of_losses

from .._shared.media_types import text_file
from .._shared.split_messages import ParsedMessage

__all__ = ["parse_message"]

_ROLES = {
    MessageRole.DEVELOPER: "system",
    MessageRole.FUNCTION: "tool",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
}
_WITHOUT_TEXT = (CachePoint, ThinkingBlock, ToolCallBlock)


def parse_message(message: ChatMessage) -> ParsedMessage:
    """Convert a message.

    Raises:
        InputError: a content block that is neither text nor a document.
        DocumentError: a file that cannot be read.
    """
    texts: list[str] = []
    documents: list[Document] = []
    for block in _blocks(message.blocks):
        if isinstance(block, TextBlock):
            texts.append(block.text)
        elif isinstance(block, DocumentBlock):
            documents.append(_document(block))
        elif not isinstance(block, _WITHOUT_TEXT):
            raise _unsupported_block(type(block).__name__)
    thoughts = "\n\n".join(
        block.content for block in message.blocks if isinstance(block, ThinkingBlock) and block.content
    )
    role = _ROLES.get(message.role, message.role.value)
    return ParsedMessage(role, [text for text in texts if text], documents, _tool_fields(message), thoughts)


def _tool_fields(message: ChatMessage) -> dict[str, Any]:
    calls = [
        {
            "id": block.tool_call_id,
            "type": "function",
            "function": {"name": block.tool_name, "arguments": block.tool_kwargs},
        }
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    if calls:
        return {"tool_calls": calls}
    if message.role not in (MessageRole.TOOL, MessageRole.FUNCTION):
        return {}
    fields = message.additional_kwargs
    return {name: fields[name] for name in ("tool_call_id", "name") if fields.get(name)}


def _blocks(blocks: Iterable[Any]) -> Iterator[Any]:
    """Blocks, and the content of citable blocks and citations in place of these."""
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
        return _file(Path(block.path), title)
    if block.data is None:
        raise InputError(
            f"the document block {block.title!r} names {block.url!r:.100}, and nothing is fetched from the network",
            remedy="give its data, or a path",
        )
    mime_type = block.document_mimetype or "text/plain"
    document = text_file(block.resolve_document().read(), mime_type, title or "document")
    if document is None:
        raise _unsupported_block(f"DocumentBlock ({mime_type})")
    return document


def _file(path: Path, title: str | None) -> Document:
    read = read_documents(path)
    warn_of_losses(read.warnings)
    if len(read.documents) != 1:
        raise InputError(
            f"the document block's path {path.as_posix()!r} leads to {len(read.documents)} documents",
            remedy=["give one file in each block", "give folders as documents="],
        )
    return replace(read.documents[0], id=title or read.documents[0].id)


def _unsupported_block(kind: str) -> InputError:
    return InputError(
        f"a content block of type {kind} is neither text nor a document with text",
        remedy="give TextBlocks, or DocumentBlocks with text or a path",
    )

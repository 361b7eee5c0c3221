"""What a message of LangChain says, and the documents in its content blocks."""

from base64 import b64decode
from collections.abc import Collection, Iterable
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from sharedllm_core import Document, InputError

from .._document_set import free_name
from .._text_types import text_of

__all__ = ["read_content"]

#: What is in the message in another form, too, or was a model's own affair.
_SAID_ELSEWHERE = {"tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use", "tool_result", "reasoning"}
_OF_OTHER_MODELS = {"thinking", "redacted_thinking", "server_tool_call", "server_tool_call_chunk", "server_tool_use"}


def read_content(message: BaseMessage, place: str, taken: Collection[str]) -> tuple[str, list[Document]]:
    """What a message says, and the documents in its blocks, each with an id of its own.

    Args:
        message: of LangChain.
        place: the message by name, for documents without one.
        taken: ids that other documents have.

    Raises:
        InputError: a block that is no text and no document.
    """
    if isinstance(message.content, str):
        return message.content, []
    said: list[str] = []
    documents: list[Document] = []
    for block in _blocks(message, place):
        if (text := _said(block, is_answer=isinstance(message, AIMessage))) is not None:
            said.append(text)
            continue
        title, text = _document(block)
        names = {*taken, *(one.id for one in documents)}
        name = free_name(title or f"{place}, document {len(documents) + 1}", names)
        documents.append(Document(text, id=name))
    return "\n\n".join(part for part in said if part), documents


def _blocks(message: BaseMessage, place: str) -> Iterable[dict[str, Any]]:
    """Blocks in LangChain's form, and those that it has no form for in their own."""
    parts = [_newer(part) for part in message.content]
    try:
        blocks: list[Any] = message.model_copy(update={"content": parts}).content_blocks
    except KeyError as missing:
        raise InputError(f"a content block of {place} has no {missing}; give blocks of type 'text-plain'") from missing
    for block in blocks:
        value = block.get("value") if block["type"] == "non_standard" else block
        yield value if isinstance(value, dict) else {"type": value}


def _newer(part: Any) -> Any:
    """A block; one of text as LangChain 0.3 had it in the form that there is now."""
    if isinstance(part, dict) and part.get("source_type") == "text" and isinstance(part.get("text"), str):
        return {"type": "text-plain", "mime_type": "text/plain", "text": part["text"], "title": part.get("title")}
    return part


def _said(block: dict[str, Any], *, is_answer: bool) -> str | None:
    """What a block says, if it is no document."""
    kind = str(block.get("type"))
    if kind == "text":
        return str(block.get("text") or "")
    if isinstance(block.get("json"), dict | list):
        return str(block["json"])
    if kind == "refusal" and isinstance(block.get("refusal"), str):
        return str(block["refusal"])
    content = block.get("content")
    if kind in _SAID_ELSEWHERE:
        return content if isinstance(content, str) else ""
    if kind in _OF_OTHER_MODELS or kind == "server_tool_result" or (is_answer and kind.endswith("_tool_result")):
        return ""
    return None


def _document(block: dict[str, Any]) -> tuple[str | None, str]:
    """Title and text of a block that is a document, in LangChain's form or in Anthropic's."""
    kind = block.get("type")
    source = block.get("source")
    inner: dict[str, Any] = source if isinstance(source, dict) else {}
    text: Any = None
    if kind in ("text-plain", "file"):
        text = block.get("text")
        if not isinstance(text, str) and isinstance(block.get("base64"), str):
            text = _decoded(block["base64"], str(block.get("mime_type") or "text/plain"))
    elif kind == "document":
        text = inner.get("data") if inner.get("type") == "text" else _joined(inner.get("content"))
    elif kind == "search_result":
        text = _joined(block.get("content"))
    if not isinstance(text, str):
        told = {"file": block.get("mime_type"), "document": inner.get("type")}.get(str(kind))
        raise InputError(
            f"a content block of type {kind!r}{f' ({told})' if told else ''} is neither text nor a document with text; "
            "give text, blocks of type 'text-plain', or files by read_documents(…)"
        )
    title = block.get("title") or (source if isinstance(source, str) else None) or block.get("id")
    return (None if title is None else str(title)), text


def _decoded(data: str, media_type: str) -> str | None:
    try:
        return text_of(b64decode(data), media_type)
    except ValueError as error:
        raise InputError(
            f"what a content block ({media_type}) has as base64 is none: {error}; give all of it, or the text in a "
            "block of type 'text-plain'"
        ) from error


def _joined(content: Any) -> str | None:
    """The text of a list of text blocks."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str)) or None

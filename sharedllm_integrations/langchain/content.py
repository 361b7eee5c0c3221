"""The text of a LangChain message, its thoughts, and the documents in its content blocks."""

from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from sharedllm_core import Document, InputError

from .._shared.media_types import text_file

__all__ = ["read_content", "read_thoughts"]

#: Blocks that the message has in another form too.
_IN_OTHER_FORM = {"tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use", "tool_result"}
_THOUGHTS = {"reasoning": "reasoning", "thinking": "thinking"}  # the key of the text, by type of block
_OF_OTHER_MODELS = {*_THOUGHTS, "redacted_thinking", "server_tool_call", "server_tool_call_chunk", "server_tool_use"}


def read_content(message: BaseMessage, place: str) -> tuple[list[str], list[Document]]:
    """Return the texts of a message's blocks, and the documents in them, named by their titles.

    Args:
        message: of LangChain.
        place: names the message, and documents without a title.

    Raises:
        InputError: a block that is neither text nor a document.
    """
    if isinstance(message.content, str):
        return [message.content], []
    texts: list[str] = []
    documents: list[Document] = []
    for block in _blocks(message, place):
        if (text := _text(block, is_answer=isinstance(message, AIMessage))) is not None:
            texts.append(text)
            continue
        documents.append(_document(block, f"{place}, document {len(documents) + 1}"))
    return [text for text in texts if text], documents


def read_thoughts(message: BaseMessage) -> str:
    """Return the thoughts of an earlier answer: `reasoning_content`, or its reasoning blocks."""
    thoughts = message.additional_kwargs.get("reasoning_content")
    if isinstance(thoughts, str) and thoughts:
        return thoughts
    blocks = message.content if isinstance(message.content, list) else []
    texts = [block.get(_THOUGHTS.get(str(block.get("type")), "")) for block in blocks if isinstance(block, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)


def _blocks(message: BaseMessage, place: str) -> Iterable[dict[str, Any]]:
    """Blocks in LangChain's standard form; those that have none, in their provider's form."""
    parts = [_upgraded(part) for part in message.content]
    try:
        blocks: list[Any] = message.model_copy(update={"content": parts}).content_blocks
    except KeyError as missing:
        raise InputError(
            f"a content block of {place} has no {missing}", remedy="give blocks of type 'text-plain'"
        ) from missing
    for block in blocks:
        value = block.get("value") if block["type"] == "non_standard" else block
        yield value if isinstance(value, dict) else {"type": value}


def _upgraded(part: Any) -> Any:
    """A block, with text blocks of LangChain 0.3 in their present form."""
    if isinstance(part, dict) and part.get("source_type") == "text" and isinstance(part.get("text"), str):
        return {"type": "text-plain", "mime_type": "text/plain", "text": part["text"], "title": part.get("title")}
    return part


def _text(block: dict[str, Any], *, is_answer: bool) -> str | None:
    """The text of a block; `None` if it is a document."""
    kind = str(block.get("type"))
    if kind == "text":
        return str(block.get("text") or "")
    if isinstance(block.get("json"), dict | list):
        return str(block["json"])
    if kind == "refusal" and isinstance(block.get("refusal"), str):
        return str(block["refusal"])
    content = block.get("content")
    if kind in _IN_OTHER_FORM:
        return content if isinstance(content, str) else ""
    if kind in _OF_OTHER_MODELS or kind == "server_tool_result" or (is_answer and kind.endswith("_tool_result")):
        return ""
    return None


def _document(block: dict[str, Any], unnamed: str) -> Document:
    """A block that is a document, in LangChain's form or in Anthropic's; one without a title is called `unnamed`."""
    kind = block.get("type")
    source = block.get("source")
    inner: dict[str, Any] = source if isinstance(source, dict) else {}
    name = str(block.get("title") or (source if isinstance(source, str) else None) or block.get("id") or unnamed)
    text: Any = None
    if kind in ("text-plain", "file"):
        text = block.get("text")
        if not isinstance(text, str) and isinstance(block.get("base64"), str):
            file = _text_file(block["base64"], str(block.get("mime_type") or "text/plain"), name)
            if file is not None:
                return file
    elif kind == "document":
        text = inner.get("data") if inner.get("type") == "text" else _joined(inner.get("content"))
    elif kind == "search_result":
        text = _joined(block.get("content"))
    if not isinstance(text, str):
        subtype = {"file": block.get("mime_type"), "document": inner.get("type")}.get(str(kind))
        raise InputError(
            f"a content block of type {kind!r}{f' ({subtype})' if subtype else ''} is neither text nor a document with "
            "text",
            remedy="give text, blocks of type 'text-plain', or files by read_documents(…)",
        )
    return Document(text, id=name)


def _text_file(data: str, media_type: str, name: str) -> Document | None:
    try:
        return text_file(b64decode(data), media_type, name)
    except ValueError as error:
        raise InputError(
            f"what a content block ({media_type}) has as base64 is none: {error}",
            remedy="give all of it, or the text in a block of type 'text-plain'",
        ) from error


def _joined(content: Any) -> str | None:
    """The text of a list of text blocks."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str)) or None

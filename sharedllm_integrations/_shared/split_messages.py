"""Messages in parts: text that stays in the running text, and text that becomes past context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sharedllm_core import Document
from sharedllm_core.text.unicode import well_formed_values

__all__ = ["ParsedMessage", "SplitMessage", "TextPart", "engine_messages"]


@dataclass(frozen=True)
class ParsedMessage:
    """A framework's message, converted by its integration.

    Attributes:
        role: in the engine's terms.
        texts: of its text blocks; lone surrogates are replaced by U+FFFD.
        documents: from content blocks that are documents.
        tool_fields: tool calls, or the id of the call that the message answers, in OpenAI's form.
        thoughts: of an earlier answer; never part of the text.
        known_documents: documents whose text stands in `texts` too, such as the artifacts of a tool.
    """

    role: str
    texts: Sequence[str] = ()
    documents: Sequence[Document] = ()
    tool_fields: Mapping[str, Any] = field(default_factory=dict)
    thoughts: str = ""
    known_documents: Sequence[Document] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", well_formed_values(self.texts))


@dataclass(frozen=True)
class TextPart:
    """A part of a message's text.

    Attributes:
        text: exactly as it stands in the message.
        block: number of the text block.
        documents: what the part becomes in the past context, a text or a document each; `None` if it stays.
    """

    text: str
    block: int
    documents: tuple[Document | str, ...] | None = None

    @property
    def stays(self) -> bool:
        """Whether the part is running text."""
        return self.documents is None


@dataclass(frozen=True)
class SplitMessage:
    """A message in parts, which join to its text blocks.

    Attributes:
        message: the message.
        parts: in order.
    """

    message: ParsedMessage
    parts: tuple[TextPart, ...]

    @classmethod
    def whole(cls, message: ParsedMessage) -> "SplitMessage":
        """Return a message all of which stays."""
        return cls(message, tuple(TextPart(text, block) for block, text in enumerate(message.texts) if text))

    @property
    def role(self) -> str:
        """Of the message, in the engine's terms."""
        return self.message.role

    @property
    def is_split(self) -> bool:
        """Whether some of it becomes past context."""
        return any(not part.stays for part in self.parts)

    def with_parts(self, number: int, parts: Sequence[TextPart]) -> "SplitMessage":
        """Return the message with a part replaced by its own parts, without empty ones."""
        kept = [part for part in parts if part.text]
        return replace(self, parts=(*self.parts[:number], *kept, *self.parts[number + 1 :]))

    @property
    def content(self) -> str:
        """The text that stays: of each block what stays of it, and blank lines between blocks."""
        blocks: dict[int, str] = {}
        for part in self.parts:
            if part.stays:
                before = blocks.get(part.block, "")
                is_glued = before and not before[-1].isspace() and not part.text[0].isspace()
                blocks[part.block] = before + ("\n" if is_glued else "") + part.text
        return "\n\n".join(text for text in blocks.values() if text.strip())

    def engine_message(self, content: str | None = None) -> dict[str, Any]:
        """Return the message in the engine's form, with the text that stays or another one."""
        thoughts = {"reasoning_content": self.message.thoughts} if self.message.thoughts else {}
        text = self.content if content is None else content
        return {"role": self.role, "content": text, **self.message.tool_fields, **thoughts}


def engine_messages(messages: Sequence[SplitMessage]) -> list[dict[str, Any]]:
    """Return messages in the engine's form, without those of users that become past context as a whole."""
    return [
        message.engine_message()
        for message in messages
        if message.role in ("assistant", "tool") or message.content or not message.is_split
    ]

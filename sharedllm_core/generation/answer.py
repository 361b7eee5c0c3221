"""What an engine gives back: the answer, what it rests on, and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .tools import ToolCall

__all__ = ["Answer", "Evidence", "FinishReason", "Usage"]

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer.

    Attributes:
        past_context_tokens: of all documents, and of turns that moved there.
        cached_tokens: those of them that needed no run of the lower model for this answer: from the tree cache, or left
            out for `max_injected_states`.
        running_text_tokens: the prompt, in the base model's window.
        completion_tokens: generated, without the token that ends the answer.
        injected_states: retained states, in each injection layer.
    """

    past_context_tokens: int
    cached_tokens: int
    running_text_tokens: int
    completion_tokens: int
    injected_states: int


@dataclass(frozen=True)
class Evidence:
    """A span of a document that an answer rests on.

    Attributes:
        document_id: of the document.
        start, end: characters of its text.
        text: exactly these characters.
        score: the span's share, up to 1, of the attention that the question drew to the documents.
    """

    document_id: str
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        text: what the model wrote, without the stop string.
        finish_reason: `"stop"` (the model ended, or a stop string came), `"length"` (`max_new_tokens` were written) or
            `"cancelled"`.
        usage: tokens.
        evidence: spans of the documents, the strongest first.
        tool_calls: calls of the tools that were offered, in order; `text` is what stands before them.
        moved: messages that did not fit into the window and were read as past context, oldest first.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    evidence: tuple[Evidence, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    moved: tuple[Mapping[str, Any], ...] = field(default=())

    def __str__(self) -> str:
        return self.text

"""`Answer`: the generated text, its evidence and its token usage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .tools import ToolCall

__all__ = ["Answer", "Evidence", "FinishReason", "Reading", "ReadingMode", "ThoughtPiece", "Usage"]

FinishReason = Literal["stop", "length", "cancelled"]

#: How documents are read: word for word in the window, compressed by the injection, or compressed and the best parts
#: word for word.
ReadingMode = Literal["quoted", "injected", "both"]


class ThoughtPiece(str):
    """A piece of the thoughts in a stream. Pieces of the answer are plain strings."""

    __slots__ = ()


@dataclass(frozen=True)
class Reading:
    """What was read of the documents for one answer, in tokens of the library.

    `quoted_tokens`, `injected_tokens` and `unread_tokens` add up to `total_tokens`.

    Attributes:
        mode: how the engine reads; `None` for a question without documents.
        total_tokens: tokens of all documents, and of turns that did not fit into the window.
        quoted_tokens: tokens that stood word for word in the running text.
        injected_tokens: other tokens, that were read compressed.
        unread_tokens: tokens that were not read for this answer; it cannot rest on them.
        injected_states: KV states of the documents in each injection layer.
        cached_tokens: tokens of the documents that needed no run of the model: cache hits, and what was not read.
        quote_budget: the most tokens of passages in this answer: `quote_tokens`, or less where the messages and the
            answer leave less of the window; 0 if the engine only injects.
    """

    mode: ReadingMode | None = None
    total_tokens: int = 0
    quoted_tokens: int = 0
    injected_tokens: int = 0
    unread_tokens: int = 0
    injected_states: int = 0
    cached_tokens: int = 0
    quote_budget: int = 0


@dataclass(frozen=True)
class Usage:
    """Token counts of one answer.

    Attributes:
        past_context_tokens: tokens of all documents, and of turns that were moved to the past context.
        cached_tokens: how many of these needed no run of the lower model for this answer: cache hits, and chunks left
            out under `max_injected_states`.
        running_text_tokens: tokens of the prompt, in the base model's window.
        completion_tokens: generated tokens, without the token that ends the answer.
        injected_states: retained states in each injection layer.
        thought_tokens: how many of the generated tokens are thoughts and their markers.
    """

    past_context_tokens: int
    cached_tokens: int
    running_text_tokens: int
    completion_tokens: int
    injected_states: int
    thought_tokens: int = 0


@dataclass(frozen=True)
class Evidence:
    r"""A span of a document that supports an answer.

    Attributes:
        document_id: id of the document.
        start, end: character offsets of the span in the document's text; `end` is exclusive.
        text: the text between these offsets.
        score: at most 1. Of an injected span: its share of the attention that the question directs to the documents.
            Of a quoted passage: its share of the scores of all quoted passages, by the words that it shares with the
            answer and by the search. No attention is measured for these.
        place: where the span stands in the document's file, as people find it: `"page 3"`, `"rows 4 to 6"`,
            `"lines 10 to 12, under 'Fees'"`; empty where that is not known.
        original: the span in characters of the file, for files that are text: `"\\r\\n"` counts as two characters and a
            byte order mark as none.
    """

    document_id: str
    start: int
    end: int
    text: str
    score: float
    place: str = ""
    original: tuple[int, int] | None = None


@dataclass(frozen=True)
class Answer:
    """An answer to one question.

    Attributes:
        text: the generated text, without thoughts and without the stop string.
        finish_reason: `"stop"` (end token or stop string), `"length"` (`max_new_tokens` reached: the text is cut off,
            or was completed early to match its grammar) or `"cancelled"`.
        usage: token counts.
        evidence: spans of the documents, highest score first.
        tool_calls: calls of the offered tools, in order; `text` is the text before them.
        moved: messages that did not fit into the window and were read like documents, oldest first.
        reading: how much of the documents was quoted, injected and not read.
        thoughts: what a reasoning model thought before the answer; `text` is empty if it was still thinking at the end
            of `max_new_tokens`.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage
    evidence: tuple[Evidence, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    moved: tuple[Mapping[str, Any], ...] = field(default=())
    reading: Reading = field(default_factory=Reading)
    thoughts: str = ""

    @property
    def input_tokens(self) -> int:
        """The tokens that the model read: the running text with its passages, and documents that were injected."""
        return self.usage.running_text_tokens + self.reading.injected_tokens

    def __str__(self) -> str:
        return self.text

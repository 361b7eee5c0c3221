"""A decoded answer as the public `Answer`: text, usage, evidence and tool calls."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..decoding.answer_text import DecodedAnswer
from ..generation.answer import Answer, Evidence, ReadingMode, Usage
from ..generation.prompting import Prompt
from ..generation.tool_notations.notation import ToolNotation
from ..model.past_context import PastContext
from ..text.library import Library
from .accounting import account
from .evidence import evidence_spans, token_scores, with_place
from .inspection import Inspection, make_inspection
from .quoting import Quoted, passage_evidence
from .reading import ReadPast

__all__ = ["AnsweredQuestion"]


@dataclass(frozen=True)
class AnsweredQuestion:
    """One decoded answer with its prompt, its documents, and the scores [S] of its retained states."""

    mode: ReadingMode
    notation: ToolNotation
    prompt: Prompt
    library: Library | None
    quoted: Quoted
    read: ReadPast | None
    decoded: DecodedAnswer
    scores: Tensor | None
    num_evidence: int

    def answer(self) -> Answer:
        """Build the public `Answer`: text, thoughts, usage, evidence and tool calls."""
        reading = account(self.mode, self.library, self.quoted, self.read)
        decoded = self.decoded
        thought_tokens = len(decoded.thoughts.ids)
        usage = Usage(
            past_context_tokens=reading.total_tokens,
            cached_tokens=reading.cached_tokens,
            running_text_tokens=len(self.quoted.ids),
            completion_tokens=thought_tokens + len(decoded.ids),
            injected_states=reading.injected_states,
            thought_tokens=thought_tokens,
        )
        assert decoded.finish_reason is not None
        calls = self.notation.parse_calls(decoded.calls) if decoded.calls else ()
        moved = tuple(self.prompt.moved)
        evidence, thoughts = self._evidence(), decoded.thoughts.text
        return Answer(decoded.text, decoded.finish_reason, usage, evidence, calls, moved, reading, thoughts)

    def _evidence(self) -> tuple[Evidence, ...]:
        if self.quoted.passages:
            text = f"{self.decoded.text} {self.decoded.calls}"
            spans = passage_evidence(self.quoted.passages, text, self.num_evidence)
            by_id = {document.id: document for document in self.library or ()}
            return tuple(with_place(span, by_id[span.document_id]) for span in spans)
        if self.library is None:
            return ()
        return evidence_spans(self.library, self._token_scores, self.num_evidence)

    def inspection(self) -> Inspection:
        """Build the answer together with the retained nodes of every document and their scores."""
        assert self.library is not None
        past = PastContext.empty() if self.read is None else self.read.past
        return make_inspection(self.answer(), self.library, past, self._token_scores, self.quoted.passages)

    @cached_property
    def _token_scores(self) -> list[Tensor]:
        if self.library is None or self.read is None or self.scores is None:
            return [] if self.library is None else [torch.zeros(0) for _ in self.library.documents]
        return token_scores(self.library, self.read.past, self.scores)

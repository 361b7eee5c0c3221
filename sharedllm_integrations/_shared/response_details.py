"""What the metadata of a response report beside the answer: evidence, finish reason, documents found in messages.

Response metadata end up in traces. So evidence names spans of documents (document, characters, score) and shows their
text only where the caller put it into the prompt anyway, or asked for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sharedllm_core import Answer, Evidence

__all__ = ["ResponseDetails"]


@dataclass(frozen=True)
class ResponseDetails:
    """What every response to a request reports beside its answer.

    Attributes:
        model_name: as the caller named the model.
        moved: which messages documents were taken from.
        evidence_ids: ids of the documents that evidence may name: what the user gave as documents. Text of system
            messages and earlier turns that became past context is no evidence.
        shown_ids: ids of the documents whose text evidence may show as well.
        document_notes: by document id, such as which parts of a document are missing.
        with_citations: whether the content carries citations (LangChain's output version 1).
    """

    model_name: str
    moved: Sequence[Mapping[str, Any]] = ()
    evidence_ids: frozenset[str] = frozenset()
    shown_ids: frozenset[str] = frozenset()
    document_notes: Mapping[str, Any] = field(default_factory=dict)
    with_citations: bool = False

    def metadata(self, answer: Answer) -> dict[str, Any]:
        """Return the part of the response metadata that both integrations report, as plain values."""
        values: dict[str, Any] = {
            "finish_reason": _finish_reason(answer),
            "evidence": [self._evidence(span) for span in answer.evidence if span.document_id in self.evidence_ids],
            "reading": asdict(answer.reading),
        }
        if self.moved:
            values["documents_from_messages"] = list(self.moved)
        if self.document_notes:
            values["documents"] = dict(self.document_notes)
        if answer.moved:
            values["turns_read_as_documents"] = len(answer.moved)
        return values

    def _evidence(self, span: Evidence) -> dict[str, Any]:
        values: dict[str, Any] = {
            "document_id": span.document_id,
            "start": span.start,
            "end": span.end,
            "score": span.score,
        }
        if span.place:
            values["place"] = span.place
        if span.original is not None:
            values["original"] = list(span.original)
        return values | ({"text": span.text} if span.document_id in self.shown_ids else {})


def _finish_reason(answer: Answer) -> str:
    """OpenAI's names; a call whose arguments were shortened to fit the token budget has `"length"`."""
    return "tool_calls" if answer.tool_calls and answer.finish_reason == "stop" else answer.finish_reason

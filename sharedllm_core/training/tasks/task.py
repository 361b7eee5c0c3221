"""`Task`: a question over documents, its answer, and where the answer stands."""

import json
from dataclasses import dataclass
from typing import Literal, TypedDict

__all__ = ["Evidence", "Split", "Task", "TaskDocument"]

#: What a task shows of the kinds and phrasings: those for training, phrasings kept away, or kinds kept away.
Split = Literal["train", "held_out_phrasing", "held_out_kind"]


class TaskDocument(TypedDict):
    """A document to read."""

    id: str
    text: str


class Evidence(TypedDict):
    """Where a needed fact stands: `text[start:end]` of the document is the fact."""

    document: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """A question over documents.

    Attributes:
        index: which task of its stream it is, from 0.
        document_set: which set of documents it is asked over; tasks of one set share their documents.
        documents: what is to be read.
        question: what is asked, with all that the answer's shape needs.
        answer: the only right one, to be compared as it stands.
        kind: of fact, two joined by "+" where both are needed; for calls without a fact, the function's name.
        form: of task, see `FORMS`.
        split: whether its kinds and phrasings occur in training.
        evidence: the needed facts in the order in which they stand in the documents.
    """

    index: int
    document_set: int
    documents: list[TaskDocument]
    question: str
    answer: str
    kind: str
    form: str
    split: Split
    evidence: list[Evidence]

    def to_json(self) -> str:
        """One line of JSON, without the line's end."""
        return json.dumps(vars(self), ensure_ascii=False, separators=(",", ":"))

"""What a measurement is: items that are made one at a time, and what a system scores on each."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from torch import Tensor

from .. import Document, Evidence
from .settings import EvaluationSettings
from .system import System

__all__ = ["Input", "Item", "Labels", "Measurement", "Question", "QuestionMeasurement", "Result", "Scores"]

#: What results are grouped by, such as {"length": 4096, "depth": 0.5}. `length` becomes the columns of tables.
Labels = Mapping[str, str | int | float]

#: Metric → value, for one question. `loss` is in nats and reported as perplexity, `… seconds` are seconds; others
#: are shares from 0 to 1.
Scores = Mapping[str, float]

#: What a user may have to give before something can be measured.
Input = Literal["texts", "squad", "qa", "longbench", "infinitebench"]


#: Characters of a span of evidence; a longer one names too much to be of use.
_LONGEST_SPAN = 300


@dataclass(frozen=True)
class Question:
    """A question and what its answer is.

    Attributes:
        text: as it is asked.
        expected: strings of which the answer must have all, or one; the measurement knows which.
        labels: beside those of the item.
        facts: where the answer stands, as (document id, first character, character behind the last).
        choices: what the answer is one of, where the measurement says so.
    """

    text: str
    expected: tuple[str, ...]
    labels: Labels = field(default_factory=dict)
    facts: tuple[tuple[str, int, int], ...] = ()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Item:
    """Documents and questions about them, or a text and what stands before it.

    Attributes:
        id: names the item among those of its measurement; the same by the same settings.
        labels: of all its questions.
        documents: to answer from.
        questions: about the documents.
        max_new_tokens: of an answer.
        past_ids, target_ids: ids of a text [n] and of what stands before it [m], where no question is asked.
    """

    id: str
    labels: Labels
    documents: Sequence[Document] = ()
    questions: Sequence[Question] = ()
    max_new_tokens: int = 0
    past_ids: Tensor | None = None
    target_ids: Tensor | None = None


@dataclass(frozen=True)
class Result:
    """What a system scored on one question of an item.

    Attributes:
        labels: of the item and of the question.
        scores: by metric.
        answer: what the system said.
    """

    labels: Labels
    scores: Scores
    answer: str = ""


class Measurement(ABC):
    """Something that can be measured of a system.

    Attributes:
        name: of the command line, of files and of tables.
        needs: what the settings must have for it.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[Input, ...]] = ()

    @abstractmethod
    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """The items, made one at a time; the same ones for the same settings."""

    @abstractmethod
    def measure(self, system: System, item: Item) -> list[Result]:
        """What a system scores on an item.

        Raises:
            DeviceMemoryError: the device has too little memory for this system and item.
        """

    def applies_to(self, system: System) -> bool:
        """Whether the system can be measured so."""
        return True


class QuestionMeasurement(Measurement):
    """A measurement by questions, whose answers are compared with the expected ones.

    Where a system gives evidence, right answers (`exact`) also score whether the first span, of at most 300 characters,
    overlaps one of the facts (`evidence`).
    """

    @abstractmethod
    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """The scores of answers to an item's questions, one entry for each."""

    def measure(self, system: System, item: Item) -> list[Result]:
        """See `Measurement`."""
        texts = [question.text for question in item.questions]
        cited = system.cited_answers(item.documents, texts, item.max_new_tokens)
        scores = self.score(item, [answer for answer, _ in cited])
        return [
            Result({**item.labels, **question.labels}, {**score, **_evidence(question, score, spans)}, answer)
            for question, score, (answer, spans) in zip(item.questions, scores, cited, strict=True)
        ]


def _evidence(question: Question, score: Scores, spans: Sequence[Evidence] | None) -> Scores:
    if spans is None or not question.facts or not score.get("exact"):
        return {}
    return {"evidence": float(any(_points_to(spans[0], fact) for fact in question.facts) if spans else False)}


def _points_to(span: Evidence, fact: tuple[str, int, int]) -> bool:
    document, start, end = fact
    short = span.end - span.start <= _LONGEST_SPAN
    return short and span.document_id == document and span.start < end and start < span.end

"""Questions of people about real documents, answered from whole sets of documents."""

from collections.abc import Iterator, Sequence

from .matching import best, exact_match, normalised, word_f1
from .measurement import Item, QuestionMeasurement, Scores
from .question_sets import question_items
from .settings import EvaluationSettings

__all__ = ["DocumentQuestions"]


class DocumentQuestions(QuestionMeasurement):
    """Questions about sets of documents, answered from the whole set.

    `f1` and `exact match` compare answers as SQuAD does; `contained` is 1 if the answer has an accepted one in it.
    """

    name = "qa"
    needs = ("qa",)

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        return question_items(settings)

    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """See `QuestionMeasurement`."""
        return [
            {
                "f1": best(word_f1, answer, question.expected),
                "exact match": best(exact_match, answer, question.expected),
                "contained": best(_contains, answer, question.expected),
            }
            for question, answer in zip(item.questions, answers, strict=True)
        ]


def _contains(answer: str, expected: str) -> float:
    return float(f" {normalised(expected)} " in f" {normalised(answer)} ")

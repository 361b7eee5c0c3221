"""Questions of people about real documents, answered from whole sets of documents."""

from collections.abc import Iterator, Sequence

from .matching import best, exact_match, is_refusal, normalised, word_f1
from .measurement import Item, QuestionMeasurement, Scores
from .question_sets import question_items
from .settings import EvaluationSettings

__all__ = ["DocumentQuestions"]


class DocumentQuestions(QuestionMeasurement):
    """Questions about sets of documents, answered from the whole set.

    `f1` and `exact match` compare answers as SQuAD does; `contained` is 1 if the answer has an accepted one in it, and
    `refused` if it is that the documents do not say. Where the documents do not say, this is `recognised`, the only
    score.
    """

    name = "qa"
    needs = ("qa",)

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        return question_items(settings, with_unanswerable=True)

    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """See `QuestionMeasurement`."""
        return [
            _scores(answer, question.expected) if question.expected else {"recognised": is_refusal(answer)}
            for question, answer in zip(item.questions, answers, strict=True)
        ]


def _scores(answer: str, expected: Sequence[str]) -> Scores:
    return {
        "f1": best(word_f1, answer, expected),
        "exact match": best(exact_match, answer, expected),
        "contained": best(_contains, answer, expected),
        "refused": is_refusal(answer),
    }


def _contains(answer: str, expected: str) -> float:
    return float(f" {normalised(expected)} " in f" {normalised(answer)} ")

"""LongBench: files that the user has, in the published format, with the metrics that need no further library."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import Document, InputError
from .json_lines import check_fields, rows_of
from .matching import word_f1
from .measurement import Item, Question, QuestionMeasurement, Scores
from .settings import EvaluationSettings

__all__ = ["DATASETS", "LongBench", "check_longbench"]

_FIELDS = {"input": str, "context": str, "answers": list, "length": int, "dataset": str, "_id": str}
_ROUGE = ("gov_report", "qmsum", "multi_news", "samsum", "vcsum", "dureader")


@dataclass(frozen=True)
class _Dataset:
    """What is asked, how long answers may be, and how they are compared."""

    metric: str
    max_new_tokens: int
    question: str = "{input}"
    first_line: bool = False


_BRIEF = "{input} Answer with a few words."
DATASETS: dict[str, _Dataset] = {
    "narrativeqa": _Dataset("f1", 128, _BRIEF),
    "qasper": _Dataset("f1", 128, _BRIEF + " If the article does not say, answer: unanswerable."),
    "multifieldqa_en": _Dataset("f1", 64, _BRIEF),
    "hotpotqa": _Dataset("f1", 32, _BRIEF),
    "2wikimqa": _Dataset("f1", 32, _BRIEF),
    "musique": _Dataset("f1", 32, _BRIEF),
    "triviaqa": _Dataset("f1", 32, _BRIEF, first_line=True),
    "trec": _Dataset(
        "classification", 64, "Name the type of the question as the examples do. {input}", first_line=True
    ),
    "passage_retrieval_en": _Dataset(
        "retrieval", 32, 'Which paragraph is this the abstract of? Answer like "Paragraph 1".\n\n{input}'
    ),
    "passage_count": _Dataset(
        "count",
        32,
        "How many different paragraphs are there, repeated ones counted once? Answer with the number. {input}",
    ),
}


class LongBench(QuestionMeasurement):
    """Rows of LongBench files, by data set and by length in words as LongBench-E has it.

    `score` is each data set's own metric: word F1, classification, retrieval or count. Summaries (ROUGE-L), code
    (edit similarity) and Chinese sets are not supported.
    """

    name = "longbench"
    needs = ("longbench",)

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        for path in settings.longbench:
            for number, (where, row) in enumerate(rows_of(path)):
                if number == settings.items:
                    break
                _check(row, where)
                dataset = DATASETS[row["dataset"]]
                yield Item(
                    id=f"{row['dataset']}-{row['_id']}",
                    labels={"dataset": row["dataset"], "length": _words(row["length"])},
                    documents=[Document(row["context"], id=row["_id"])],
                    questions=[
                        Question(
                            dataset.question.format(input=row["input"]).strip(),
                            tuple(row["answers"]),
                            choices=tuple(row["all_classes"] or ()),
                        )
                    ],
                    max_new_tokens=dataset.max_new_tokens,
                )

    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """See `QuestionMeasurement`."""
        dataset = DATASETS[str(item.labels["dataset"])]
        metric = _METRICS[dataset.metric]

        def compared(question: Question, answer: str) -> float:
            said = answer.lstrip("\n").split("\n")[0] if dataset.first_line else answer
            return max((metric(said, expected, question) for expected in question.expected), default=0.0)

        pairs = zip(item.questions, answers, strict=True)
        return [{"score": compared(question, answer)} for question, answer in pairs]


def check_longbench(path: Path) -> None:
    """Check every row of a file.

    Raises:
        DocumentError: the file is missing or empty, or a row is not of the published format.
        InputError: a data set whose metric is not supported.
    """
    for where, row in rows_of(path):
        _check(row, where)


def _check(row: dict[str, Any], where: str) -> None:
    check_fields(row, where, dict(_FIELDS))
    check_fields(row, where, {"all_classes": (list, type(None))})
    if row["dataset"] not in DATASETS:
        why = "its metric, ROUGE-L, is not supported" if row["dataset"] in _ROUGE else "it is not supported"
        raise InputError(f"{where}: data set {row['dataset']!r}: {why}", remedy=f"use some of {', '.join(DATASETS)}")


def _words(length: int) -> str:
    return "0-4k words" if length < 4_000 else "4-8k words" if length < 8_000 else "8k+ words"


def _classification(answer: str, expected: str, question: Question) -> float:
    """1 / the number of classes that are named, if the right one is; those that are part of its name do not count."""
    named = [name for name in question.choices if name in answer and (name == expected or name not in expected)]
    return 1 / len(named) if expected in named else 0.0


def _share_of_numbers(answer: str, number: str) -> float:
    said = re.findall(r"\d+", answer)
    return said.count(number) / len(said) if said else 0.0


def _retrieval(answer: str, expected: str) -> float:
    number = re.search(r"\d+", expected)
    return _share_of_numbers(answer, number.group()) if number else 0.0


def _count(answer: str, expected: str) -> float:
    return _share_of_numbers(answer, expected.strip())


_METRICS: dict[str, Callable[[str, str, Question], float]] = {
    "f1": lambda answer, expected, _: word_f1(answer, expected),
    "classification": _classification,
    "retrieval": lambda answer, expected, _: _retrieval(answer, expected),
    "count": lambda answer, expected, _: _count(answer, expected),
}

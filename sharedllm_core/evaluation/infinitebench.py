"""InfiniteBench: files that the user has, in the published format, with the metrics that need no further library."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import Document, DocumentError, InputError
from .json_lines import check_fields, rows_of
from .matching import best, some_found, word_f1
from .measurement import Item, Question, QuestionMeasurement, Scores
from .settings import EvaluationSettings

__all__ = ["TASKS", "InfiniteBench", "check_infinitebench"]

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "id": (int, str),
    "context": str,
    "input": str,
    "answer": (list, str, int, float),
    "options": list,
}
_LETTERS = "ABCD"


@dataclass(frozen=True)
class _Task:
    metric: str
    max_new_tokens: int
    ending: str = ""


_CHOICE = "Answer with the letter of the right choice."
TASKS: dict[str, _Task] = {
    "passkey": _Task("number", 6, "Answer with the number alone."),
    "number_string": _Task("number", 12, "Answer with the number alone."),
    "kv_retrieval": _Task("contains", 50, "Answer with the value alone."),
    "longbook_qa_eng": _Task("f1", 40, "Answer with a few words."),
    "longbook_choice_eng": _Task("choice", 40, _CHOICE),
    "longdialogue_qa_eng": _Task("contains", 40, "Answer with the name."),
    "math_find": _Task("number", 3, "Answer with the number alone."),
    "code_run": _Task("number", 5, "Answer with the number alone."),
    "code_debug": _Task("choice", 5, _CHOICE),
}


class InfiniteBench(QuestionMeasurement):
    """Rows of InfiniteBench files, by task; a file is named after its task, as published (`passkey.jsonl`).

    `score` is each task's own metric: the first number, the string found, word F1 or the choice. Summaries (ROUGE-L),
    `math_calc` and Chinese tasks are not supported.
    """

    name = "infinitebench"
    needs = ("infinitebench",)

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        for path in settings.infinitebench:
            name = task_of(path)
            for number, (where, row) in enumerate(rows_of(path)):
                if number == settings.items:
                    break
                _check(row, where)
                options = tuple(map(str, row["options"]))
                listed = [f"{letter}. {option}" for letter, option in zip(_LETTERS, options, strict=False)]
                asked = "\n".join(
                    [row["input"], *(listed if TASKS[name].metric == "choice" else ()), TASKS[name].ending]
                )
                answers = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
                yield Item(
                    id=f"{name}-{row['id']}",
                    labels={"task": name},
                    documents=[Document(row["context"], id=f"{name}-{row['id']}")],
                    questions=[Question(asked.strip(), tuple(map(str, answers)), choices=options)],
                    max_new_tokens=TASKS[name].max_new_tokens,
                )

    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """See `QuestionMeasurement`."""
        metric = _METRICS[TASKS[str(item.labels["task"])].metric]
        return [{"score": metric(answer, question)} for question, answer in zip(item.questions, answers, strict=True)]


def task_of(path: Path) -> str:
    """The task of a file, by its name.

    Raises:
        InputError: it is not one that is supported.
    """
    name = path.name.removesuffix(".xz").removesuffix(".jsonl")
    if name not in TASKS:
        raise InputError(f"{path}: no task {name!r} is supported", remedy=f"name files after one of {', '.join(TASKS)}")
    return name


def check_infinitebench(path: Path) -> None:
    """Check every row of a file.

    Raises:
        DocumentError: the file is missing or empty, or a row is not of the published format.
        InputError: a task that is not supported.
    """
    task_of(path)
    for where, row in rows_of(path):
        _check(row, where)


def _check(row: dict[str, Any], where: str) -> None:
    check_fields(row, where, _FIELDS)
    if row["answer"] == []:
        raise DocumentError(f"{where}: 'answer' is empty", remedy="there must be one answer or more")


def _number(answer: str, question: Question) -> float:
    """1 if the first number of the answer is the expected one."""
    said = re.search(r"-?\d+(\.\d+)?", answer.replace(",", ""))
    return float(said is not None and float(said.group()) in [float(one) for one in question.expected])


def _choice(answer: str, question: Question) -> float:
    """1 if the answer begins with the letter of the right choice, names it as the answer, or has its text alone."""
    right = {letter for letter, option in zip(_LETTERS, question.choices, strict=False) if option in question.expected}
    letter = re.match(r"\W*([A-D])\b", answer) or re.search(r"\b(?i:answer|choice|option)(?: is)?\W*([A-D])\b", answer)
    if letter and not answer.strip().lower().startswith("a "):
        return float(letter.group(1) in right)
    named = [option for option in question.choices if option.lower() in answer.lower()]
    return float(len(named) == 1 and named[0] in question.expected)


_METRICS: dict[str, Callable[[str, Question], float]] = {
    "number": _number,
    "contains": lambda answer, question: some_found(answer, question.expected),
    "f1": lambda answer, question: best(word_f1, answer, question.expected),
    "choice": _choice,
}

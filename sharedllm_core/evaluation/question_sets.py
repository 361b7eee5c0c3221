"""Files of documents with questions about them, and the items that are made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import Document, DocumentError
from ..training.tasks.seeding import generator
from .json_lines import check_fields, rows_of
from .measurement import Item, Question
from .settings import EvaluationSettings
from .squad import read_articles

__all__ = ["QuestionSet", "question_items", "read_question_sets"]

_MAX_NEW_TOKENS = 48


@dataclass(frozen=True)
class QuestionSet:
    """Documents and questions about them; a question without accepted answers is one that they do not answer."""

    documents: tuple[Document, ...]
    questions: tuple[Question, ...]


def read_question_sets(path: Path, *, joined: bool = False) -> list[QuestionSet]:
    """Read a file of JSON lines: a set a line, or an article of SQuAD a line, which are one set together.

    A set is `{"documents": [{"id", "title", "text"}], "questions": [{"question", "answers": […], "facts": […]}]}`. Of
    a question without answers the documents say nothing. `facts`, which may be missing, are texts that all are needed
    for the answer.

    Args:
        path: the file, compressed with xz or not.
        joined: make one set of all lines.

    Raises:
        DocumentError: the file is missing or empty, or a line is no such object.
    """
    _, first = next(rows_of(path))
    if "paragraphs" in first:
        articles = read_articles(path)
        documents = tuple(
            Document("\n\n".join(p.text for p in one.paragraphs), id=one.title, metadata={"title": one.title})
            for one in articles
        )
        return [QuestionSet(documents, tuple(q for one in articles for p in one.paragraphs for q in p.questions))]
    sets = [_read_set(row, where, f"{number}-" if joined else "") for number, (where, row) in enumerate(rows_of(path))]
    if not joined:
        return sets
    return [QuestionSet(tuple(d for one in sets for d in one.documents), tuple(q for s in sets for q in s.questions))]


def question_items(settings: EvaluationSettings, *, with_unanswerable: bool = False) -> Iterator[Item]:
    """Make items of the files in `settings.qa`: for each file `items` groups of `questions_per_item` questions.

    The groups are drawn from all sets of a file in turn, so that a file of many sets is measured over many of them.

    Args:
        settings: which items are measured.
        with_unanswerable: ask questions without accepted answers as well.
    """
    for path in settings.qa:
        read = read_question_sets(path, joined=settings.join_sets)
        if not with_unanswerable:
            read = [replace(one, questions=tuple(q for q in one.questions if q.expected)) for one in read]
        sets = [one for one in read if one.questions]
        shuffled = [
            generator(settings.seed, path.name, number).sample(one.questions, len(one.questions))
            for number, one in enumerate(sets)
        ]
        made = 0
        for first in range(0, max(map(len, shuffled), default=0), settings.questions_per_item):
            for number, (one, questions) in enumerate(zip(sets, shuffled, strict=True)):
                chosen = questions[first : first + settings.questions_per_item]
                if chosen and made < settings.items:
                    made += 1
                    yield Item(
                        id=f"{path.name}-{number}-{first}",
                        labels={"file": path.name.split(".")[0]},
                        documents=one.documents,
                        questions=chosen,
                        max_new_tokens=_MAX_NEW_TOKENS,
                    )


def _read_set(row: dict[str, Any], where: str, prefix: str) -> QuestionSet:
    check_fields(row, where, {"documents": list, "questions": list})
    documents = []
    for document in row["documents"]:
        check_fields(document, f"{where}, a document", {"id": str, "text": str})
        metadata = {"title": document["title"]} if document.get("title") else {}
        documents.append(Document(document["text"], id=prefix + document["id"], metadata=metadata))
    questions = []
    for question in row["questions"]:
        check_fields(question, f"{where}, a question", {"question": str, "answers": list})
        facts = [_place(fact, documents, where) for fact in question.get("facts", ())]
        questions.append(Question(question["question"], tuple(question["answers"]), facts=tuple(facts)))
    return QuestionSet(tuple(documents), tuple(questions))


def _place(fact: str, documents: Sequence[Document], where: str) -> tuple[str, int, int]:
    for document in documents:
        if (start := document.text.find(fact)) >= 0:
            return document.id, start, start + len(fact)
    raise DocumentError(f"{where}: no document has the fact {fact!r:.100}", remedy="give it as the document writes it")

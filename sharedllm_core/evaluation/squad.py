"""Question answering with SQuAD articles: the article that answers, among others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import Document, DocumentError, InputError
from ..errors import setting
from ..training.tasks.haystack import Passage, trim
from ..training.tasks.seeding import generator
from .json_lines import check_fields, rows_of
from .matching import best, exact_match, word_f1
from .measurement import Item, Question, QuestionMeasurement, Scores
from .settings import EvaluationSettings

__all__ = ["Article", "Paragraph", "Squad", "check_size", "read_articles"]

_MAX_NEW_TOKENS = 32
_OWN_SHARE = 0.9  # of the length that the article asked about may take


@dataclass(frozen=True)
class Paragraph:
    """A paragraph and the questions about it."""

    text: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Article:
    """An article of SQuAD."""

    title: str
    paragraphs: tuple[Paragraph, ...]


class Squad(QuestionMeasurement):
    """Questions about one article, among other articles up to the length asked, at a random place.

    `exact match` and `f1` compare with the accepted answers as SQuAD does.
    """

    name = "squad"
    needs = ("squad",)

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`.

        Raises:
            InputError: the articles are too few for one of the lengths.
        """
        assert settings.squad is not None
        articles = read_articles(settings.squad)
        _check_others(check_size(articles, settings), settings)
        asked = [number for number, article in enumerate(articles) if any(p.questions for p in article.paragraphs)]
        for length in settings.lengths:
            for number in range(settings.items):
                rng = generator(settings.seed, "squad", length, number)
                own = articles[rng.choice(asked)]
                start = rng.choice([at for at, paragraph in enumerate(own.paragraphs) if paragraph.questions])
                kept = _fitting(own.paragraphs, start, int(_OWN_SHARE * length), settings)
                text = _text(kept)
                others = [article for article in articles if article is not own]
                rng.shuffle(others)
                documents = _among(own.title, text, others, length, settings)
                documents.insert(rng.randint(0, len(documents)), Document(text, id=own.title))
                questions = [question for paragraph in kept for question in paragraph.questions]
                yield Item(
                    id=f"length-{length}-article-{number}",
                    labels={"length": length},
                    documents=documents,
                    questions=rng.sample(questions, min(len(questions), settings.questions_per_item)),
                    max_new_tokens=_MAX_NEW_TOKENS,
                )

    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """See `QuestionMeasurement`."""
        return [
            {
                "exact match": best(exact_match, answer, question.expected),
                "f1": best(word_f1, answer, question.expected),
            }
            for question, answer in zip(item.questions, answers, strict=True)
        ]


def read_articles(path: Path) -> list[Article]:
    """The articles of a file, one a line: {title, paragraphs: [{context, qas: [{question, answers}]}]}.

    Raises:
        DocumentError: the file is missing or empty, or a line is no such object.
    """
    return [_article(row, where) for where, row in rows_of(path)]


def check_size(articles: Sequence[Article], settings: EvaluationSettings) -> list[int]:
    """The tokens of each article, if they are enough for the greatest length.

    Raises:
        InputError: they are not, or nothing is asked about them.
    """
    wanted = max(settings.lengths)
    if not any(paragraph.questions for article in articles for paragraph in article.paragraphs):
        raise InputError("the articles have no questions", remedy="give a file with answerable ones")
    tokens = [settings.count(_text(article.paragraphs)) for article in articles]
    if sum(tokens) < wanted * 1.02:
        raise InputError(
            f"the articles of {settings.squad} have {sum(tokens):,} tokens together",
            limit=f"too few for sets of {wanted:,}",
            remedy=["give more articles", f"smaller {setting('lengths')}"],
        )
    return tokens


def _check_others(tokens: Sequence[int], settings: EvaluationSettings) -> None:
    """Check that an article too long to be kept whole, of which little may be left, has enough others beside it."""
    longest = max(tokens)
    others = sum(tokens) - longest
    for length in settings.lengths:
        if longest > _OWN_SHARE * length and others < length:
            raise InputError(
                f"of the articles of {settings.squad}, one has {longest:,} tokens and all others {others:,} together",
                limit=f"too few for sets of {length:,} when that one is cut",
                remedy=["give more articles", f"other {setting('lengths')}"],
            )


def _article(row: dict[str, Any], where: str) -> Article:
    check_fields(row, where, {"title": str, "paragraphs": list})
    paragraphs = []
    for paragraph in row["paragraphs"]:
        if not isinstance(paragraph, dict):
            raise DocumentError(f"{where}: a paragraph is a {type(paragraph).__name__}", remedy="it must be an object")
        check_fields(paragraph, where, {"context": str, "qas": list})
        questions = []
        for asked in paragraph["qas"]:
            if not isinstance(asked, dict):
                raise DocumentError(f"{where}: a question is a {type(asked).__name__}", remedy="it must be an object")
            check_fields(asked, where, {"question": str, "answers": list})
            answers = [answer.get("text") if isinstance(answer, dict) else answer for answer in asked["answers"]]
            if not all(isinstance(answer, str) for answer in answers):
                raise DocumentError(f"{where}: answers must be strings, or objects with a string 'text'")
            if answers:
                questions.append(Question(asked["question"], tuple(dict.fromkeys(map(str, answers)))))
        paragraphs.append(Paragraph(paragraph["context"], tuple(questions)))
    return Article(row["title"], tuple(paragraphs))


def _text(paragraphs: Sequence[Paragraph]) -> str:
    return "\n\n".join(paragraph.text for paragraph in paragraphs)


def _fitting(
    paragraphs: Sequence[Paragraph], start: int, room: int, settings: EvaluationSettings
) -> Sequence[Paragraph]:
    """The whole article; or, where that is too long, paragraphs from one on, as many as there is room for."""
    if settings.count(_text(paragraphs)) <= room:
        return paragraphs
    kept: list[Paragraph] = []
    for paragraph in paragraphs[start:]:
        room -= settings.count(paragraph.text)
        if kept and room < 0:
            break
        kept.append(paragraph)
    return kept


def _among(
    title: str, text: str, others: Sequence[Article], length: int, settings: EvaluationSettings
) -> list[Document]:
    """Other articles, together as long as is left of the length."""
    room = length - settings.count(text)
    passages: list[Passage] = []
    have = 0
    for article in others:
        if have >= room:
            break
        passages.append(Passage(article.title, _text(article.paragraphs)))
        have += settings.count(passages[-1].text)
    if room <= 0:
        return []
    trimmed = trim(passages, room, settings.count)
    return [Document(p.text, id=p.title if p.title != title else f"{p.title} (2)") for p in trimmed if p.text]

"""Documents with questions from the files of `sharedllm eval --qa`, and where in its document an answer stands."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sharedllm_core.evaluation.json_lines import rows_of
from sharedllm_core.text.passages import Passage
from sharedllm_core.training.tasks import NO_ANSWER

__all__ = ["AskedDocument", "AskedQuestion", "asked_documents"]

_WORDS_PER_PASSAGE = 130
_MOST_ANSWER_CHARACTERS = 240
_ENOUGH_OF_A_PASSAGE = 0.7
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"\S.*?(?:(?<=[.!?])(?=\s)|\Z)", re.DOTALL)


@dataclass(frozen=True)
class AskedQuestion:
    """A question about a document.

    Attributes:
        question: its words.
        answer: the shortest accepted one, or that the documents do not say.
        document_id: of the document that it is about.
        start, end: characters of the answer in the document, or of the passage that it follows from; both 0 where
            there is no answer.
        is_literal: whether the answer stands there word for word.
    """

    question: str
    answer: str
    document_id: str
    start: int = 0
    end: int = 0
    is_literal: bool = False

    def is_answered_by(self, passages: Sequence[Passage]) -> bool:
        """Whether passages hold what answers the question."""
        own = [one for one in passages if one.document_id == self.document_id]
        held = sum(max(0, min(one.end, self.end) - max(one.start, self.start)) for one in own)
        return self.end > self.start and held >= (self.end - self.start) * (
            1 if self.is_literal else _ENOUGH_OF_A_PASSAGE
        )


@dataclass
class AskedDocument:
    """A document with its questions; `passages` are spans of its text, of some 130 words each."""

    id: str
    title: str
    text: str
    passages: list[tuple[int, int]]
    questions: list[AskedQuestion] = field(default_factory=list)

    def passage_of(self, question: AskedQuestion) -> str:
        """The passage that answers a question."""
        start, end = next(span for span in self.passages if span[0] <= question.start < span[1])
        return self.text[start:end]


def asked_documents(file: str) -> Iterator[AskedDocument]:
    """Read the documents of a file, whose name may end in `@` and the lines that are wanted, as a slice.

    Questions are left out where no passage holds the answer or nearly all of its words, and where the answer is long.
    """
    path, _, lines = file.partition("@")
    parts = [int(part) if part else None for part in (lines or ":").split(":")]
    for line, (_, row) in enumerate(list(rows_of(Path(path)))[slice(*parts)]):
        for number, (title, text, spans, pairs) in enumerate(_documents(row)):
            document = AskedDocument(f"{line}-{number}", title, text, spans)
            words = [set(_words(text[start:end])) for start, end in spans]
            found = (_located(document, words, question, answers) for question, answers in pairs)
            document.questions = [one for one in found if one]
            yield document


def _documents(row: dict[str, Any]) -> Iterator[tuple[str, str, list[tuple[int, int]], list[tuple[str, list[str]]]]]:
    """Title, text, spans of passages, and questions with their accepted answers, of each document of a line."""
    if "paragraphs" in row:
        text, spans = "", []
        for part in row["paragraphs"]:
            text += "\n\n" if text else ""
            spans.append((len(text), len(text) + len(part["context"])))
            text += part["context"]
        pairs = [(one["question"], _texts(one["answers"])) for part in row["paragraphs"] for one in part["qas"]]
        yield row["title"].replace("_", " "), text, spans, pairs
        return
    for document in row["documents"]:
        asked = [one for one in row["questions"] if one.get("document") in (None, document["id"])]
        pairs = [(one["question"], _texts(one["answers"])) for one in asked]
        yield document.get("title") or document["id"], document["text"], list(_cut(document["text"])), pairs


def _texts(answers: Sequence[Any]) -> list[str]:
    return [(answer["text"] if isinstance(answer, dict) else answer).strip() for answer in answers]


def _cut(text: str) -> Iterator[tuple[int, int]]:
    """Spans of whole sentences, of some 130 words each."""
    start, end, words = 0, 0, 0
    for sentence in _SENTENCE.finditer(text):
        count = len(sentence[0].split())
        if words and words + count > _WORDS_PER_PASSAGE:
            yield start, end
            words = 0
        start = start if words else sentence.start()
        end = sentence.end()
        words += count
    if words:
        yield start, end


def _located(
    document: AskedDocument,
    words: Sequence[set[str]],
    question: str,
    answers: Sequence[str],
) -> AskedQuestion | None:
    """The question with the place of its answer: of the passages that hold it, the one most like the question."""
    if not answers:
        return AskedQuestion(question, NO_ANSWER, document.id)
    answer = min(answers, key=len)
    if not answer or len(answer) > _MOST_ANSWER_CHARACTERS:
        return None
    texts = [document.text[start:end] for start, end in document.passages]
    asked = set(_words(question))
    of_document = Counter(word for some in words for word in some & asked)
    rare = {word: 1 / count for word, count in of_document.items()}
    of_answer = set(_words(answer))

    def score(at: int) -> float:
        held = 1.0 if answer in texts[at] else len(of_answer & words[at]) / max(1, len(of_answer))
        return 2 * held + sum(rare[word] for word in rare.keys() & words[at]) / max(1e-9, sum(rare.values()))

    best = max(range(len(texts)), key=score)
    start, end = document.passages[best]
    if answer in texts[best]:
        start += texts[best].index(answer)
        return AskedQuestion(question, answer, document.id, start, start + len(answer), is_literal=True)
    if len(of_answer & words[best]) >= 0.75 * len(of_answer):
        return AskedQuestion(question, answer, document.id, start, end)
    return None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())

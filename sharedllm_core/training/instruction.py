"""Instruction tuning: documents, and questions with their answers, row by row of files of JSON lines."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import DocumentError, InputError, SharedLLMError, setting
from ..method.config import SharedLLMConfig
from ..text.documents import Document
from ..text.tokenization import TextTokenizer
from .items import Item, RowDataset, Turn, conversation_item, count_running_tokens
from .row_reading import RowReading, draw_reading
from .rows import JsonRows

__all__ = ["InstructionDataset"]

_TRIES_PER_DISTRACTOR = 3  # a document may be too long, or the row's own


@dataclass(eq=False)
class InstructionDataset(RowDataset):
    """Instruction tuning: documents, and questions with their answers, per row; loss on the answers.

    Attributes:
        paths: files of JSON lines with `documents` (texts, or objects with `text`), `question` (a text, or messages)
            and `answer`; or, in place of these two, `turns` of a conversation: objects with `question` (a text) and
            `answer`.
        tokenizer: the model's.
        method: the numbers of the method.
        max_past_tokens: the most tokens of documents; more is refused, and nothing is cut.
        max_running_tokens: the most tokens of prompt, passages and answer.
        readings: how documents are read; each row draws one.
        distractors: the most documents of other rows that a row has beside its own; each row draws how many, and which,
            within `max_past_tokens`.
        teacher_tokens: the most tokens of passages that a row's teacher reads; 0 for no teachers.

    Raises:
        DocumentError: see `JsonRows`; or documents that are too long, with file and line.
    """

    paths: Sequence[str]
    tokenizer: TextTokenizer
    method: SharedLLMConfig
    max_past_tokens: int
    max_running_tokens: int
    readings: Sequence[RowReading] = (RowReading(),)
    distractors: int = 0
    teacher_tokens: int = 0

    def __post_init__(self) -> None:
        self._counts: dict[bytes, int] = {}
        self._rows = JsonRows(self.paths, self._fault)

    def _fault(self, row: dict[str, Any]) -> SharedLLMError | None:
        if fault := _fault(row):
            return fault
        tokens = sum(self._count(_text(document)) for document in row["documents"])
        if tokens > self.max_past_tokens:
            return DocumentError(
                f"{tokens:,} tokens of documents",
                limit=f"and {setting('max_past_tokens')} is {self.max_past_tokens:,}",
                remedy="raise it, or split them",
            )
        try:
            running = count_running_tokens(_turns(row), self.tokenizer)
        except InputError as error:
            return error
        if running > self.max_running_tokens:
            return DocumentError(
                f"{running:,} tokens of question and answer",
                limit=f"and {setting('max_running_tokens')}, or the base's window, is {self.max_running_tokens:,}",
                remedy="raise it where it can be, or shorten them",
            )
        return None

    def _count(self, text: str) -> int:
        """Count the tokens of a document; many rows ask about the same one."""
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if key not in self._counts:
            self._counts[key] = self.tokenizer.count(text)
        return self._counts[key]

    def __len__(self) -> int:
        return len(self._rows)

    def item(self, number: int, draw: str = "") -> Item:
        """Return a row, with distractors and a way of reading that are drawn by `draw`; the same for the same."""
        chance = random.Random(draw)  # noqa: S311 (no secret)
        row = self._rows[number]
        documents = [_document(one, str(place)) for place, one in enumerate(row["documents"])]
        documents += self._drawn_distractors(number, documents, chance)
        if self.distractors:
            chance.shuffle(documents)
        return conversation_item(
            [replace(document, id=str(place)) for place, document in enumerate(documents)],
            _turns(row),
            self.tokenizer,
            self.method,
            draw_reading(self.readings, chance),
            self.max_running_tokens,
            self.teacher_tokens,
        )

    def _drawn_distractors(self, number: int, own: Sequence[Document], chance: random.Random) -> list[Document]:
        """Draw documents of other rows whose text is not among a row's own."""
        wanted = chance.randint(0, self.distractors)
        room = self.max_past_tokens - sum(self._count(document.text) for document in own)
        texts = {document.text for document in own}
        drawn: list[Document] = []
        for _ in range(_TRIES_PER_DISTRACTOR * wanted):
            if len(drawn) == wanted:
                break
            other = _document(chance.choice(self._rows[chance.randrange(len(self._rows))]["documents"]), "")
            tokens = self._count(other.text)
            if tokens <= room and other.text not in texts:
                drawn.append(other)
                texts.add(other.text)
                room -= tokens
        return drawn


def _fault(row: dict[str, Any]) -> DocumentError | None:
    if "turns" in row and ("question" in row or "answer" in row):
        return DocumentError("both turns and a question or answer", remedy="write one of the two")
    needed = ("documents", "turns") if "turns" in row else ("documents", "question", "answer")
    if missing := [name for name in needed if name not in row]:
        return DocumentError(f"{missing[0]!r} is missing", remedy="write documents, question and answer")
    in_documents = _fault_of_documents(row["documents"])
    return in_documents or (_fault_of_turns(row["turns"]) if "turns" in row else _fault_of_question(row))


def _fault_of_documents(documents: Any) -> DocumentError | None:
    if not isinstance(documents, list) or not all(isinstance(_text(document), str) for document in documents):
        return DocumentError("documents are no list of texts or of objects with a text")
    if not any(_text(document).strip() for document in documents):
        return DocumentError("documents hold no text", remedy="give some that do")
    return None


def _fault_of_question(row: dict[str, Any]) -> DocumentError | None:
    if not isinstance(row["answer"], str) or not row["answer"]:
        return DocumentError("answer is no text", remedy="write what the model should say")
    if not isinstance(row["question"], str | list) or not row["question"]:
        return DocumentError("question is neither a text nor messages")
    return None


def _fault_of_turns(turns: Any) -> DocumentError | None:
    remedy = "write objects with a question and an answer"
    if not isinstance(turns, list) or not turns:
        return DocumentError("turns are no list, or an empty one", remedy=remedy)
    for number, turn in enumerate(turns):
        for name in ("question", "answer"):
            if not isinstance(turn, dict) or not isinstance(turn.get(name), str) or not turn[name].strip():
                return DocumentError(f"turn {number} has no text as its {name}", remedy=remedy)
    return None


def _turns(row: dict[str, Any]) -> list[Turn]:
    return [Turn(turn["question"], turn["answer"]) for turn in row.get("turns", [row])]


def _text(document: Any) -> Any:
    return document.get("text") if isinstance(document, dict) else document


def _document(document: Any, name: str) -> Document:
    title = document.get("title") if isinstance(document, dict) else None
    return Document(_text(document), id=name, metadata={"title": title} if title else {})

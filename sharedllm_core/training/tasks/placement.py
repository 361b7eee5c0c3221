"""Facts put into passages, and where each then stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .borders import nearest_border
from .haystack import Passage
from .task import Evidence, TaskDocument

__all__ = ["place"]

_SENTENCE_ENDS = ".!?\"'”’)"
_ALONE = 0.3  # share of sentences that make a paragraph of their own


@dataclass
class _Document:
    """A document while facts are put into it."""

    id: str
    text: str
    built: str = ""
    done: int = 0
    after_block: bool = False

    def put(self, fact: str, at: int, alone: bool) -> Evidence:
        """Copy the text up to a border, and then the fact."""
        self._copy(at)
        # A heading or an item of a list is not a sentence to which another can be added.
        alone = alone or self.built[-1:] not in _SENTENCE_ENDS
        before = "\n\n" if alone or self.after_block else " "
        before = before if self.built else ""
        self.after_block = alone
        start = len(self.built) + len(before)
        self.built += before + fact
        return {"document": self.id, "start": start, "end": len(self.built)}

    def finish(self) -> TaskDocument:
        self._copy(len(self.text))
        return {"id": self.id, "text": self.built}

    def _copy(self, end: int) -> None:
        piece = self.text[self.done : end]
        if not piece:
            return
        if (self.after_block or self.done == 0) and self.built:
            blank_line = piece[: len(piece) - len(piece.lstrip())].count("\n") > 1
            piece = piece if blank_line else "\n\n" + piece.lstrip(" ").removeprefix("\n")
        self.built, self.done, self.after_block = self.built + piece, end, False


def place(
    passages: Sequence[Passage], facts: Sequence[tuple[str, float]], rng: Random
) -> tuple[list[TaskDocument], list[Evidence]]:
    """Put facts between the sentences of passages.

    Args:
        passages: become the documents, in this order.
        facts: texts, each with its depth: 0 is before the first passage, 1 behind the last.
        rng: decides which sentences stand in a paragraph of their own. What is not a sentence always does.

    Returns:
        The documents, and where each fact stands, in the order of `facts`.
    """
    documents = [_Document(id=name, text=p.text) for name, p in zip(_ids(passages), passages, strict=True)]
    total = sum(len(document.text) for document in documents)
    spots = []
    for number, (_, depth) in enumerate(facts):
        place_in_all = depth * total
        for at, document in enumerate(documents):
            if place_in_all <= len(document.text) or at == len(documents) - 1:
                offset = min(len(document.text), round(place_in_all))
                spots.append((at, nearest_border(document.text, offset, max(60, min(1_000, total // 50))), number))
                break
            place_in_all -= len(document.text)
    evidence: dict[int, Evidence] = {}
    for at, border, number in sorted(spots):
        fact = facts[number][0]
        alone = "\n" in fact or fact[-1] not in ".!?" or rng.random() < _ALONE
        evidence[number] = documents[at].put(fact, border, alone)
    return [document.finish() for document in documents], [evidence[number] for number in range(len(facts))]


def _ids(passages: Sequence[Passage]) -> list[str]:
    """Titles as ids; a title that comes again gets a number."""
    ids: list[str] = []
    taken: set[str] = set()
    for place_in_set, passage in enumerate(passages, start=1):
        title = passage.title or f"document {place_in_set}"
        name, again = title, 2
        while name in taken:
            name, again = f"{title} ({again})", again + 1
        taken.add(name)
        ids.append(name)
    return ids

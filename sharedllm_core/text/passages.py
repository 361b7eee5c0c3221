"""Passages: the parts of documents that a search finds for a question, as text to quote. No model runs."""

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np

from .embedding import Embedder
from .library import Library
from .search import ordered_segments, segment_scores
from .sentences import sentences_of
from .tokenization import TextTokenizer

__all__ = ["Passage", "PassageSearch", "find_passages"]

_MAX_MISFITS = 8  # spans that do not fit, after which the budget counts as spent

#: A span with its score: number of the document, first character, end, score.
_Ranked = tuple[int, int, int, float]


@dataclass(frozen=True)
class Passage:
    """A part of a document that is quoted to the model word for word.

    Attributes:
        document_id: of its document.
        start, end: characters of the document.
        text: exactly these characters.
        score: how much of the question it holds; comparable within one question only.
        place: where it stands in the document's file, such as `"page 3"`; empty where that is not known.
    """

    document_id: str
    start: int
    end: int
    text: str
    score: float
    place: str = ""


def find_passages(
    question: str, library: Library, tokenizer: TextTokenizer, max_tokens: int, embedder: Embedder | None = None
) -> list[Passage]:
    """Find what to quote for a question within a token budget; see `PassageSearch` for arguments and result."""
    passages = PassageSearch(question, library, tokenizer, embedder).within(max_tokens)
    by_id = {document.id: document for document in library}
    return [replace(one, place=by_id[one.document_id].place(one.start, one.end)) for one in passages]


class PassageSearch:
    """The search for one question, whose segments are scored once for all token budgets.

    Args:
        question: what is looked for.
        library: the documents.
        tokenizer: counts the tokens of passages.
        embedder: compares meaning as well; `None` to compare words alone.
    """

    def __init__(
        self, question: str, library: Library, tokenizer: TextTokenizer, embedder: Embedder | None = None
    ) -> None:
        self._question = question
        self._library = library
        self._tokenizer = tokenizer
        self._embedder = embedder

    def within(self, max_tokens: int) -> list[Passage]:
        """Find what to quote within a token budget.

        Segments of whole sentences are opened, the best first, as long as they fit into the budget; neighbours are
        joined. If the budget is smaller than the best segments, single sentences of them are.

        Args:
            max_tokens: the most tokens of all passages together, each counted as a text of its own.

        Returns:
            Passages in the order of the documents and of their text, which do not overlap; whole documents if all fit.
        """
        library = self._library
        if library.num_tokens <= max_tokens:
            whole = _Spans(library)
            for number, text in enumerate(document.text for document in library.documents):
                whole.add(number, 0, len(text), 0.0)
            if self._tokenizer.count_all([passage.text for passage in whole.passages()]) <= max_tokens:
                return whole.passages()
        opened = _opened(_ranked(self._scores, library), library, max_tokens)
        if not opened.num_tokens:  # the budget is smaller than the best segments
            best = islice(_ranked(self._scores, library), _MAX_MISFITS)
            opened = _opened(_sentences(best, library), library, max_tokens)
        return _within(opened.passages(), self._tokenizer, max_tokens)

    @cached_property
    def _scores(self) -> np.ndarray:
        return segment_scores(self._question, self._library, self._embedder)


def _opened(ranked: Iterable[_Ranked], library: Library, max_tokens: int) -> "_Spans":
    """Open spans, the best first, until several did not fit."""
    opened = _Spans(library)
    misfits = 0
    for document, start, end, score in ranked:
        if opened.num_tokens + library.tokens_in(document, start, end) <= max_tokens:
            opened.add(document, start, end, score)
        elif (misfits := misfits + 1) == _MAX_MISFITS:
            break
    return opened


def _sentences(ranked: Iterable[_Ranked], library: Library) -> Iterator[_Ranked]:
    """Yield the sentences of spans."""
    for document, start, end, score in ranked:
        text = library.documents[document].text[start:end]
        yield from ((document, start + first, start + last, score) for first, last in sentences_of(text))


def _ranked(scores: np.ndarray, library: Library) -> Iterator[_Ranked]:
    """Yield segments, the best first."""
    index = library.word_index
    for segment in ordered_segments(scores, library).tolist():
        start, end = index.spans[segment].tolist()
        yield int(index.document[segment]), start, end, float(scores[segment])


def _within(passages: list[Passage], tokenizer: TextTokenizer, max_tokens: int) -> list[Passage]:
    """Leave out the passages with the lowest scores until the others fit, each counted as a text of its own."""
    counts = [tokenizer.count(passage.text) for passage in passages]
    total = sum(counts)
    left_out = set()
    for place in sorted(range(len(passages)), key=lambda place: passages[place].score):
        if total <= max_tokens:
            break
        total -= counts[place]
        left_out.add(place)
    return [passage for place, passage in enumerate(passages) if place not in left_out]


class _Spans:
    """Spans of documents, joined where nothing but white space is between them.

    Attributes:
        num_tokens: the library's tokens in them.
    """

    def __init__(self, library: Library) -> None:
        self.num_tokens = 0
        self._library = library
        self._spans: dict[int, list[tuple[int, int, float]]] = {}

    def add(self, document: int, start: int, end: int, score: float) -> None:
        """Add a span that overlaps no other; spans that are joined keep the best score."""
        self.num_tokens += self._library.tokens_in(document, start, end)
        text = self._library.documents[document].text
        kept = []
        for other in self._spans.get(document, []):
            between = text[other[1] : start] if other[1] <= start else text[end : other[0]]
            if between.strip():
                kept.append(other)
            else:
                start, end, score = min(start, other[0]), max(end, other[1]), max(score, other[2])
        if text[start:end].strip():
            insort(kept, (start, end, score))
        self._spans[document] = kept

    def passages(self) -> list[Passage]:
        """The spans as passages, in the order of documents and text."""
        return [
            Passage(document.id, start, end, document.text[start:end], round(score, 4))
            for number, document in enumerate(self._library.documents)
            for start, end, score in self._spans.get(number, [])
        ]

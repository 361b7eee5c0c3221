"""An index of the words in the segments of documents, and BM25 scores of segments for a question."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import numpy as np

from .sentences import segments_of
from .words import query_words, words_of

__all__ = ["DocumentWords", "WordIndex", "index_document", "indexed"]

_K1 = 1.2
_B = 0.75
#: How much a segment's own score counts, that of the segment with both neighbours, and that of its document.
_OWN, _WITH_NEIGHBOURS, _DOCUMENT = 0.35, 0.5, 0.3
_NO_SPANS = np.zeros((0, 2), np.int32)
_NO_NUMBERS = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class DocumentWords:
    """The words of one document, by segment.

    Attributes:
        spans: first character and end of each segment, int32 [segments, 2].
        words: the distinct words of the document.
        word, segment, count: for each word of each segment its place in `words`, the segment, and how often it occurs
            there; int32, int32, uint16 [postings].
    """

    spans: np.ndarray
    words: tuple[str, ...]
    word: np.ndarray
    segment: np.ndarray
    count: np.ndarray


def index_document(text: str, title: str = "") -> DocumentWords:
    """Index one document; the words of its title count for its first segment."""
    spans = segments_of(text)
    places: dict[str, int] = {}
    word: list[int] = []
    segment: list[int] = []
    count: list[int] = []
    for number, (start, end) in enumerate(spans):
        counted = Counter(words_of(text[start:end]))
        if number == 0 and title:
            counted.update(words_of(title))
        for one, times in counted.items():
            word.append(places.setdefault(one, len(places)))
            segment.append(number)
            count.append(min(times, 65535))
    return DocumentWords(
        np.array(spans, np.int32).reshape(-1, 2),
        tuple(places),
        np.array(word, np.int32),
        np.array(segment, np.int32),
        np.array(count, np.uint16),
    )


def indexed(text: str, title: str = "") -> DocumentWords:
    """`index_document`, kept as long as some index holds it: another library with the document builds nothing anew."""
    digest = hashlib.sha256(f"{len(title)}\0{title}\0{text}".encode("utf-8", "surrogatepass")).digest()
    known = _indexed.get(digest)
    if known is None:
        known = _indexed.setdefault(digest, index_document(text, title))
    return known


_indexed: "WeakValueDictionary[bytes, DocumentWords]" = WeakValueDictionary()


class WordIndex:
    """The words of several documents; their segments are numbered through.

    Args:
        documents: each indexed on its own.

    Attributes:
        document: the document of each segment, int32 [segments].
        spans: first character and end of each segment in that document, int32 [segments, 2].
    """

    def __init__(self, documents: Sequence[DocumentWords]) -> None:
        self._documents = list(documents)  # so that other libraries find them
        sizes = [len(one.spans) for one in documents]
        first = np.concatenate(([0], np.cumsum(sizes)))
        self.spans = np.concatenate([_NO_SPANS, *(one.spans for one in documents)])
        self.document = np.repeat(np.arange(len(documents), dtype=np.int32), sizes)
        self._num_documents = len(documents)
        self._places: dict[str, int] = {}
        word = np.concatenate([_NO_NUMBERS, *(self._numbered(one) for one in documents)])
        moved = [one.segment + start for one, start in zip(documents, first, strict=False)]
        segment = np.concatenate([_NO_NUMBERS, *moved])
        count = np.concatenate([_NO_NUMBERS, *(one.count for one in documents)])
        order = np.argsort(word, kind="stable")
        self._segment, self._count = segment[order].astype(np.int32), count[order].astype(np.uint16)
        self._starts = np.searchsorted(word[order], np.arange(len(self._places) + 1))
        self._is_inner = self.document[1:] == self.document[:-1]  # whether neighbours are of one document
        lengths = np.bincount(self._segment, weights=self._count, minlength=len(self.spans))
        self._lengths = self._views(lengths)

    def scores(self, question: str) -> np.ndarray:
        """Score each segment for a question: BM25 of itself, of it with both neighbours, and of its document.

        Returns:
            float64 [segments], 0 or more.
        """
        words = [self._places[word] for word in query_words(question) if word in self._places]
        if not words:
            return np.zeros(len(self.spans))
        sums = [np.zeros(len(lengths)) for lengths in self._lengths]
        for word in words:
            at = slice(self._starts[word], self._starts[word + 1])
            counts = np.bincount(self._segment[at], weights=self._count[at], minlength=len(self.spans))
            views = zip(self._views(counts), self._lengths, strict=True)
            sums = [total + _bm25(view, lengths) for total, (view, lengths) in zip(sums, views, strict=True)]
        own, joined, of_document = (total / max(total.max(), 1e-9) for total in sums)
        scores: np.ndarray = _OWN * own + _WITH_NEIGHBOURS * joined + _DOCUMENT * of_document[self.document]
        return scores

    def _numbered(self, document: DocumentWords) -> np.ndarray:
        """The word numbers of a document's postings in this index."""
        numbers = [self._places.setdefault(word, len(self._places)) for word in document.words]
        return np.array(numbers, np.int64)[document.word] if numbers else _NO_NUMBERS

    def _views(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts of each segment, of each segment with both neighbours, and of each document."""
        joined = counts.copy()
        joined[1:] += counts[:-1] * self._is_inner
        joined[:-1] += counts[1:] * self._is_inner
        return counts, joined, np.bincount(self.document, weights=counts, minlength=self._num_documents)


def _bm25(counts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """BM25 of one word in every unit, in Lucene's form, in which no word weighs less than 0."""
    found = np.count_nonzero(counts)
    weight = np.log(1 + (len(counts) - found + 0.5) / (found + 0.5))
    scores: np.ndarray = weight * counts / (counts + _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1e-9)))
    return scores

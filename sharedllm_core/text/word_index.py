"""An index of the words in the segments of documents, and BM25 scores of segments for a question.

Documents are indexed one by one. An index takes what other living indexes in this process hold of the same documents,
so that a document added to a library costs its own words only.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakSet
from zlib import crc32

import numpy as np

from .sentences import segments_of
from .words import query_words, words_of

__all__ = ["WordIndex"]

_K1, _B = 1.2, 0.75  # of BM25, as in Lucene
#: Weights of a segment's own score, and of the scores of the regions with 1 and with 3 segments on either side.
_OWN_WEIGHT, _REGION_WEIGHTS = 0.35, {1: 0.35, 3: 0.15}
_DOCUMENT_WEIGHT = 0.3
_MAX_COUNT = 255
_DIGEST_BYTES = 16


@dataclass(frozen=True, eq=False)
class _DocumentWords:
    """The words of one document.

    Attributes:
        spans: first character and end of each segment, int32 [segments, 2].
        code, segment, count: for each distinct word of each segment its code, the segment, and how often it occurs
            there; uint32, int32, uint8 [postings].
    """

    spans: np.ndarray
    code: np.ndarray
    segment: np.ndarray
    count: np.ndarray


class WordIndex:
    """The words of several documents; their segments are numbered consecutively.

    A word is stored as a 32-bit code, about five bytes per occurrence. Words that share a code by chance, one pair in
    some 90,000 words, count as equal.

    Args:
        texts: of the documents.
        titles: of the documents; the words of a title count for the first segment.

    Attributes:
        document: the document of each segment, int32 [segments].
        spans: first character and end of each segment in that document, int32 [segments, 2].
    """

    def __init__(self, texts: Sequence[str], titles: Sequence[str]) -> None:
        digests = np.array([_digest(*one) for one in zip(texts, titles, strict=True)], f"S{_DIGEST_BYTES}")
        documents = _indexed(digests, texts, titles)
        sizes = [len(one.spans) for one in documents]
        self.spans = np.concatenate([np.zeros((0, 2), np.int32), *(one.spans for one in documents)])
        self.document = np.repeat(np.arange(len(documents), dtype=np.int32), sizes)
        self._first_segments = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))
        starts = zip(documents, self._first_segments.tolist(), strict=False)
        segment = _joined([one.segment + start for one, start in starts], np.int32)
        code = _joined([one.code for one in documents], np.uint32)
        order = np.lexsort((segment, code))
        self._segment = segment[order]
        self._count = _joined([one.count for one in documents], np.uint8)[order]
        self._codes, first = np.unique(code[order], return_index=True)
        self._starts = np.append(first, len(code)).astype(np.int64)
        self._lengths = [view.astype(np.float32) for view in self._views(self._per_segment(slice(None)))]
        self._digest_order = np.argsort(digests).astype(np.int32)
        self._digests = digests[self._digest_order]
        with _lock:
            _live.add(self)

    @property
    def num_segments(self) -> int:
        """Number of segments of all documents."""
        return len(self.document)

    @property
    def num_bytes(self) -> int:
        """Memory of the index's arrays."""
        return sum(part.nbytes for part in [*vars(self).values(), *self._lengths] if isinstance(part, np.ndarray))

    def segments_of(self, document: int) -> range:
        """The numbers of a document's segments."""
        first, end = self._first_segments[document : document + 2].tolist()
        return range(first, end)

    def num_segments_with(self, word: str) -> int:
        """Count the segments that contain a word, as `words_of` yields it."""
        found = self._postings(word)
        return found.stop - found.start

    def scores(self, question: str) -> np.ndarray:
        """Score each segment for a question: BM25 of the segment, of regions around it, and of its document.

        Each is divided by its maximum and weighed: an answer often stands beside the words of the question.

        Returns:
            float64 [segments], 0 or more.
        """
        found = [postings for word in query_words(question) if (postings := self._postings(word)).stop > postings.start]
        if not found:
            return np.zeros(self.num_segments)
        sums = [np.zeros(len(lengths)) for lengths in self._lengths]
        for postings in found:
            views = zip(sums, self._views(self._per_segment(postings)), self._lengths, strict=True)
            sums = [total + _bm25(counts, lengths) for total, counts, lengths in views]
        own, *regions, of_document = (total / total.max() for total in sums)
        scores: np.ndarray = _OWN_WEIGHT * own + _DOCUMENT_WEIGHT * of_document[self.document]
        for weight, region in zip(_REGION_WEIGHTS.values(), regions, strict=True):
            scores += weight * region
        return scores

    def _postings(self, word: str) -> slice:
        code = _code(word)
        place = int(np.searchsorted(self._codes, np.uint32(code)))
        if place == len(self._codes) or self._codes[place] != code:
            return slice(0, 0)
        return slice(int(self._starts[place]), int(self._starts[place + 1]))

    def _per_segment(self, postings: slice) -> np.ndarray:
        """How many words of these postings each segment has."""
        return np.bincount(self._segment[postings], weights=self._count[postings], minlength=self.num_segments)

    def _views(self, counts: np.ndarray) -> list[np.ndarray]:
        """Counts of each segment, of the regions around it, and of each document."""
        views, region = [counts], counts.copy()
        for distance in range(1, max(_REGION_WEIGHTS) + 1):
            same_document = self.document[distance:] == self.document[:-distance]
            region[distance:] += counts[:-distance] * same_document
            region[:-distance] += counts[distance:] * same_document
            if distance in _REGION_WEIGHTS:
                views.append(region.copy())
        num_documents = len(self._first_segments) - 1
        return [*views, np.bincount(self.document, weights=counts, minlength=num_documents)]

    def _take(self, digests: np.ndarray) -> dict[int, _DocumentWords]:
        """Return the words of those documents, by their place in `digests`, that this index holds."""
        if not len(self._digests):
            return {}
        places = np.minimum(np.searchsorted(self._digests, digests), len(self._digests) - 1)
        held = np.flatnonzero(self._digests[places] == digests)
        if not len(held):
            return {}
        code = np.repeat(self._codes, np.diff(self._starts))
        order = np.argsort(self._segment, kind="stable")
        bounds = np.searchsorted(self._segment[order], self._first_segments)
        taken = {}
        for place in held:
            number = int(self._digest_order[places[place]])
            segments, found = self.segments_of(number), order[bounds[number] : bounds[number + 1]]
            segment = self._segment[found] - np.int32(segments.start)
            spans = self.spans[segments.start : segments.stop]
            taken[int(place)] = _DocumentWords(spans, code[found], segment, self._count[found])
        return taken


_live: "WeakSet[WordIndex]" = WeakSet()
_lock = threading.Lock()


def _indexed(digests: np.ndarray, texts: Sequence[str], titles: Sequence[str]) -> list[_DocumentWords]:
    """Index documents, except those that a living index of this process holds."""
    with _lock:
        living = list(_live)
    known: dict[int, _DocumentWords] = {}
    for index in living:
        unknown = np.array([place for place in range(len(digests)) if place not in known], np.int64)
        known |= {int(unknown[place]): words for place, words in index._take(digests[unknown]).items()}
    return [known.get(place) or _index_document(*one) for place, one in enumerate(zip(texts, titles, strict=True))]


def _index_document(text: str, title: str) -> _DocumentWords:
    spans = segments_of(text)
    code: list[int] = []
    segment: list[int] = []
    count: list[int] = []
    for number, (start, end) in enumerate(spans):
        words = Counter(words_of(text[start:end]))
        if number == 0:
            words.update(words_of(title))
        code += map(_code, words)
        segment += [number] * len(words)
        count += (min(times, _MAX_COUNT) for times in words.values())
    return _DocumentWords(
        np.array(spans, np.int32).reshape(-1, 2),
        np.array(code, np.uint32),
        np.array(segment, np.int32),
        np.array(count, np.uint8),
    )


def _bm25(counts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """BM25 of one word in every unit, in Lucene's form, in which no word has a negative weight."""
    found = np.count_nonzero(counts)
    weight = np.log(1 + (len(counts) - found + 0.5) / (found + 0.5))
    norm = _K1 * (1 - _B + _B * lengths / max(float(lengths.mean()), 1e-9))
    scores: np.ndarray = weight * counts / (counts + norm)
    return scores


def _digest(text: str, title: str) -> bytes:
    data = f"{len(title)}\0{title}\0{text}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).digest()[:_DIGEST_BYTES]


def _joined(parts: Iterable[np.ndarray], dtype: type[np.generic]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts])


@lru_cache(maxsize=2**16)
def _code(word: str) -> int:
    return crc32(word.encode("utf-8", "surrogatepass"))

"""Search in documents by the words of a question, with a second look at the documents that the best segments name.

Many questions need two facts: the first passage names what the second is about ("the publisher of …", "as set out in
Exhibit B"). A document whose whole title stands in one of the best segments is such a second place.
"""

import numpy as np

from .embedding import Embedder
from .library import Library

__all__ = ["ordered_segments", "segment_scores", "token_relevance"]

_MEANING_WEIGHT = 0.5  # of an embedding's similarity, beside 1 for words
_BEST_SEGMENTS = 3  # whose text is searched for titles
_MIN_SHARE = 0.5  # of the best score that such a segment must have
_LINKED_SEGMENTS = 4  # of a named document, the best
_LINK_WEIGHT = 0.8
_RARE_SHARE = 0.02  # of the segments; a title needs a word that at most this share contains


def segment_scores(question: str, library: Library, embedder: Embedder | None = None) -> np.ndarray:
    """Score the segments of a library's word index for a question.

    Args:
        question: what is looked for.
        library: the documents.
        embedder: compares meaning as well; `None` to compare words alone.

    Returns:
        float64 [segments], 0 or more; higher scores first in `ordered_segments`.
    """
    index = library.word_index
    scores = index.scores(question)
    best = float(scores.max(initial=0.0))
    if embedder is not None and len(scores):
        scores = scores / max(best, 1e-9) + _MEANING_WEIGHT * embedder.scores(question, library)
        best = float(scores.max())
    if not best:
        return scores
    top = np.argsort(-scores, kind="stable")[:_BEST_SEGMENTS]
    top = top[scores[top] >= _MIN_SHARE * best]
    named = {document for segment in top for document in _named_documents(_text(library, segment), library)}
    named -= _named_documents(question, library) | set(index.document[top].tolist())
    linked = scores.copy()
    for document in sorted(named):
        segments = np.array(index.segments_of(document))
        segments = segments[np.argsort(-scores[segments], kind="stable")[:_LINKED_SEGMENTS]]
        linked[segments] += _LINK_WEIGHT * (best + scores[segments]) / 2
    return linked


def token_relevance(question: str, library: Library, embedder: Embedder | None = None) -> list[np.ndarray]:
    """Score the tokens of each chunk of a library for a question: each has the score of the segment it ends in.

    Returns:
        For each chunk float32 [l].
    """
    index, scores = library.word_index, segment_scores(question, library, embedder).astype(np.float32)
    relevance = []
    for chunk in library.chunks:
        segments = index.segments_of(chunk.document)
        firsts = index.spans[segments.start : segments.stop, 0]
        last = chunk.text.offsets[:, 1].numpy() - 1  # a token may begin with the space before its segment
        places = np.clip(np.searchsorted(firsts, last, side="right") - 1, 0, max(len(firsts) - 1, 0))
        relevance.append(scores[segments.start + places] if len(firsts) else np.zeros(len(last), np.float32))
    return relevance


def ordered_segments(scores: np.ndarray, library: Library) -> np.ndarray:
    """Order the segments of a library, the best first, without those that have nothing in common with the question.

    If none has anything, documents are read from their beginnings: first the first segments of all, then the second.
    """
    if scores.any():
        return np.argsort(-scores, kind="stable")[: np.count_nonzero(scores)]
    document = library.word_index.document
    return np.argsort(np.arange(len(scores)) - np.searchsorted(document, document), kind="stable")


def _named_documents(text: str, library: Library) -> set[int]:
    """The documents whose whole title, with a rare word in it, stands in a text."""
    index = library.word_index
    most = max(3, _RARE_SHARE * index.num_segments)
    return {
        document
        for title, documents in library.title_index.titles_in(text)
        if min(map(index.num_segments_with, title)) <= most
        for document in documents
    }


def _text(library: Library, segment: np.integer) -> str:
    index = library.word_index
    start, end = index.spans[segment].tolist()
    return library.documents[index.document[segment]].text[start:end]

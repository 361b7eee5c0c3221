"""Plain retrieval: passages of 100 words, ranked by BM25 over Snowball stems without stopwords (bm25s)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import Stemmer

from .. import Document

__all__ = ["BM25Index", "RetrievedPassage"]

_PASSAGE_WORDS = 100


@dataclass(frozen=True)
class RetrievedPassage:
    """A passage: its document's number, and its words with single blanks between; the first begins with the title."""

    document: int
    text: str


class BM25Index:
    """The passages of several documents; none crosses two documents.

    Raises:
        ImportError: the package bm25s is missing.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        self._library = _bm25s()
        self._stemmer = Stemmer.Stemmer("english")
        self.passages = [
            RetrievedPassage(number, " ".join(words[first : first + _PASSAGE_WORDS]))
            for number, document in enumerate(documents)
            for words in [f"{document.metadata.get('title') or ''} {document.text}".split()]
            for first in range(0, len(words), _PASSAGE_WORDS)
        ]
        words = self._words([passage.text for passage in self.passages])
        self._index = self._library.BM25() if any(words) else None
        if self._index is not None:
            self._index.index(words, show_progress=False)

    def ranked(self, question: str) -> list[RetrievedPassage]:
        """All passages, the best first; those that score the same in order."""
        vocabulary = () if self._index is None else self._index.vocab_dict
        known = [word for word in self._words([question])[0] if word in vocabulary]
        if self._index is None or not known:
            return list(self.passages)
        scores: list[float] = self._index.get_scores(known).tolist()
        return [self.passages[place] for place in sorted(range(len(scores)), key=lambda place: -scores[place])]

    def _words(self, texts: list[str]) -> list[list[str]]:
        words: list[list[str]] = self._library.tokenize(
            texts, stemmer=self._stemmer, stopwords="en", return_ids=False, show_progress=False
        )
        return words


def _bm25s() -> Any:
    try:
        import bm25s
    except ImportError as error:
        raise ImportError("BM25 needs the package bm25s: pip install 'sharedllm[eval]'") from error
    return bm25s

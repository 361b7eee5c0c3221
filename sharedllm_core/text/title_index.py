"""Find the documents whose titles stand in a text."""

import re
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

from .words import words_of

__all__ = ["TitleIndex"]

_PARENTHESES = re.compile(r"\s*\([^)]*\)")


class TitleIndex:
    """The titles of several documents, as words; what stands in parentheses does not count.

    Args:
        titles: one of each document.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        words = [list(words_of(_PARENTHESES.sub("", title))) for title in titles]
        codes = np.array([_code(title) for title in words], np.uint32)
        self._order = np.argsort(codes, kind="stable").astype(np.int32)
        self._codes = codes[self._order]
        self._lengths = sorted({len(title) for title in words} - {0})

    def titles_in(self, text: str) -> Iterator[tuple[list[str], list[int]]]:
        """Yield each title that stands whole in a text, as words, and the numbers of the documents that have it."""
        words = list(words_of(text))
        spans = [words[at : at + length] for length in self._lengths for at in range(len(words) - length + 1)]
        codes = np.array([_code(span) for span in spans], np.uint32)
        starts, ends = np.searchsorted(self._codes, codes), np.searchsorted(self._codes, codes, side="right")
        for number in np.flatnonzero(ends > starts).tolist():
            yield spans[number], self._order[starts[number] : ends[number]].tolist()


def _code(words: Sequence[str]) -> int:
    return crc32(" ".join(words).encode("utf-8", "surrogatepass"))

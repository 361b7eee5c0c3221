"""Sentences of a text, and segments of a few sentences: the units that a search opens."""

import re

__all__ = ["segments_of", "sentences_of"]

_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[^a-z\s])|(?<=[。！？])|\n+")
_SEGMENT_CHARACTERS = 260  # about 45 English words
_MOST_CHARACTERS = 600  # of a sentence; longer ones are cut between words


def segments_of(text: str) -> list[tuple[int, int]]:
    """The segments of a text, as first character and end: whole sentences, together at most a few hundred characters.

    White space around them is left out; in order, without overlap, and everything else of the text is in one.
    """
    segments: list[tuple[int, int]] = []
    for start, end in sentences_of(text):
        if segments and end - segments[-1][0] <= _SEGMENT_CHARACTERS and "\n\n" not in text[segments[-1][1] : start]:
            segments[-1] = (segments[-1][0], end)
        else:
            segments.append((start, end))
    return segments


def sentences_of(text: str) -> list[tuple[int, int]]:
    """The sentences of a text, as first character and end, in order; overlong ones are cut between words.

    White space around them is left out.
    """
    spans: list[tuple[int, int]] = []
    first = 0
    for match in [*_SENTENCE.finditer(text), None]:
        end = len(text) if match is None else match.end()
        inner = text[first:end]
        start = first + len(inner) - len(inner.lstrip())
        stop = first + len(inner.rstrip())
        first = end
        while stop - start > _MOST_CHARACTERS:
            cut = text.rfind(" ", start + _MOST_CHARACTERS // 2, start + _MOST_CHARACTERS)
            cut = start + _MOST_CHARACTERS if cut < 0 else cut
            spans.append((start, cut))
            start = cut + len(text[cut:stop]) - len(text[cut:stop].lstrip())
        if start < stop:
            spans.append((start, stop))
    return spans

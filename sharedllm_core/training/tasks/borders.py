"""Where a text may be cut or opened: after paragraphs, else after sentences, else between words."""

import re

__all__ = ["nearest_border"]

_PARAGRAPH = re.compile(r"(?<=\S)(?=[ \t]*\n[ \t]*\n)")
_SENTENCE = re.compile(
    r"(?<=[.!?])[\"'”’)\]]*(?=\s+[\"'“‘(]?[A-Z])"
    r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bProf\.)(?<!\b[A-Z]\.)(?<!\b\d\.)(?<!\b\d\d\.)(?<!\be\.g\.)(?<!\bi\.e\.)"
)
_WORD = re.compile(r"(?<=\S)(?=\s)")
_REACH = 1_000


def nearest_border(text: str, place: int, reach: int = _REACH, *, sentences: bool = True) -> int:
    """The border nearest to a place in a text; the text's start and end are borders.

    Args:
        text: to look at.
        place: an offset in it.
        reach: how far a good border may be away before a worse one is taken.
        sentences: whether the ends of sentences are as good as those of paragraphs.
    """
    low, high = max(0, place - reach), min(len(text), place + reach)
    window = text[low:high]
    for patterns in [(_PARAGRAPH, _SENTENCE), (_WORD,)] if sentences else [(_PARAGRAPH,), (_SENTENCE,), (_WORD,)]:
        found = [low + match.end() for pattern in patterns for match in pattern.finditer(window)]
        found += [edge for edge in (0, len(text)) if low <= edge <= high]
        if found:
            return min(found, key=lambda border: (abs(border - place), border))
    return place

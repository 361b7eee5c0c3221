"""Real texts, cut into passages of which sets of documents are made.

A text is a string or a mapping with `text` and, if it has one, `title`. Sets are drawn from a sequence at random. From
any other iterable they are drawn at random from a window that moves on by one text from set to set, so that never more
than the window is in memory; at its end an iterable begins anew, and an iterator, which cannot, stays where it is.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from ...errors import DocumentError
from .borders import nearest_border

__all__ = ["Passage", "Text", "compose", "pools_of_texts", "trim"]

#: A text to cut passages from.
Text = str | Mapping[str, Any]

Count = Callable[[str], int]

_WINDOW = 32
_TRIES = 1_000


@dataclass(frozen=True)
class Passage:
    """Part of a text."""

    title: str
    text: str


def pools_of_texts(texts: Iterable[Text], start: int) -> Iterator[Sequence[Text]]:
    """What the sets of documents may be drawn from, set by set.

    Args:
        texts: a sequence, another iterable, or an iterator.
        start: the set to begin with.

    Raises:
        DocumentError: there are no texts.
    """
    if isinstance(texts, str | Mapping):
        raise DocumentError(
            f"texts is a {type(texts).__name__}", remedy="give several texts, as a list or another iterable"
        )
    if isinstance(texts, Sequence):
        if not len(texts):
            raise DocumentError("there are no texts", remedy="give some, or None for plain sentences that need no data")
        while True:
            yield texts
    yield from _windows(texts, start)


def _windows(texts: Iterable[Text], start: int) -> Iterator[Sequence[Text]]:
    window: deque[Text] = deque(maxlen=_WINDOW)
    source = _again_and_again(texts)
    for text in source:
        window.append(text)
        if len(window) == _WINDOW:
            break
    if not window:
        raise DocumentError("there are no texts", remedy="give some, or None for plain sentences that need no data")
    at = 0
    while True:
        if at >= start:
            yield tuple(window)
        at += 1
        window.extend(text for _, text in zip(range(1), source, strict=False))


def _again_and_again(texts: Iterable[Text]) -> Iterator[Text]:
    while True:
        one_round = iter(texts)
        some = False
        for text in one_round:
            some = True
            yield text
        if not some or one_round is texts:
            return


def compose(pool: Sequence[Text], rng: Random, length: int, count: Count, sizes: tuple[int, int]) -> list[Passage]:
    """Passages of random texts, together at least as long as asked.

    Args:
        pool: texts to draw from.
        rng: to draw with.
        length: in the unit of `count`.
        count: the length of a text, in characters or tokens.
        sizes: shortest and longest passage to cut, in characters; a text may be shorter.

    Raises:
        DocumentError: the texts are not texts, or empty.
    """
    passages: list[Passage] = []
    have = characters = tries = 0
    while have < length:
        # Until something is cut, a unit is taken for a character; what is too much is trimmed later.
        per_unit = characters / have if have else 1.0
        want = max(sizes[0], min(rng.randint(*sizes), int((length - have) * per_unit * 1.1) + 1))
        title, text = _read(pool[rng.randrange(len(pool))])
        passage = _cut(text, want, rng)
        units = count(passage) if passage else 0
        tries = 0 if units else tries + 1
        if tries == _TRIES:
            raise DocumentError(f"{_TRIES} texts in a row are empty", remedy="give texts that have something in them")
        if units:
            passages.append(Passage(title, passage))
            have, characters = have + units, characters + len(passage)
    return passages


def _read(text: Text) -> tuple[str, str]:
    if isinstance(text, str):
        return "", text
    content = text.get("text") if isinstance(text, Mapping) else None
    if not isinstance(content, str):
        raise DocumentError(
            f"a text is a {type(text).__name__} without a string `text`", remedy="give strings or {title, text}"
        )
    return str(text.get("title") or ""), content


def _cut(text: str, want: int, rng: Random) -> str:
    start = end = 0
    if len(text) > want:
        start = nearest_border(text, rng.randrange(len(text) - want), sentences=False)
        end = nearest_border(text, start + want, min(1_000, want // 4), sentences=False)
    passage = text[start : max(end, start + 1)] if end else text
    return passage.replace("\r\n", "\n").strip(" \n\t\ufeff")


def trim(passages: Sequence[Passage], length: int, count: Count) -> list[Passage]:
    """Passages cut off at the end until they are as long as asked, to within a sentence or a hundredth.

    Args:
        passages: at least as long as asked.
        length: in the unit of `count`.
        count: the length of a text.
    """
    kept: list[Passage] = []
    left = length
    for passage in passages:
        units = count(passage.text)
        if units > left:
            text = _shortened(passage.text, units, left, count, max(1, length // 100))
            return [*kept, Passage(passage.title, text)] if text or not kept else kept
        kept.append(passage)
        left -= units
    return kept


def _shortened(text: str, units: int, wanted: int, count: Count, tolerance: int) -> str:
    """A text cut to a number of units, to within the tolerance, with few calls of `count`."""
    if wanted <= tolerance:
        return ""
    at = len(text)
    best, best_gap = "", wanted
    for _ in range(6):
        at = min(len(text), max(1, round(at * wanted / max(1, units))))
        reach = max(12, int(tolerance * at / max(1, wanted)))
        end = nearest_border(text, at, reach)
        piece = text[:end].rstrip()
        units = count(piece)
        if abs(units - wanted) < best_gap:
            best, best_gap = piece, abs(units - wanted)
        if best_gap <= tolerance:
            break
        at = max(1, end)
    return best

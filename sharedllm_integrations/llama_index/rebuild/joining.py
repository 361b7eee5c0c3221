"""Joins pieces of a text: each in its place, overlaps once, gaps filled with white space and reported.

LlamaIndex finds the offset of a node by searching the document for its text, from the start of the node before it. In
repetitive text that finds a node too early. Offsets that cannot be wrong are used; otherwise the ways in which pieces
may follow each other are tried, and the hash of the whole text, which nodes carry, tells the right one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from .placing import WHITE_SPACE, Layout, Piece, is_glued, layout, overlaps

__all__ = ["Missing", "Piece", "Rebuilt", "rebuild"]

_MOST_TRIES = 4_000
_MOST_HASHED = 50_000_000  # characters


@dataclass(frozen=True)
class Missing:
    """Text that no piece holds.

    Attributes:
        at: where it is missing in the rebuilt text.
        characters: how many, if known.
    """

    at: int
    characters: int | None


@dataclass(frozen=True)
class Rebuilt:
    """A text, as far as its pieces determine it.

    Attributes:
        text: of all pieces.
        places: where each piece begins in it.
        blanks: (start, end) of inserted white space, in place of white space that no piece holds.
        missing: text that no piece holds.
        confirmed: whether its hash proves that it is the original text.
        certain: whether it is the only text that the pieces could come from.
    """

    text: str
    places: tuple[int, ...]
    blanks: tuple[tuple[int, int], ...] = ()
    missing: tuple[Missing, ...] = ()
    confirmed: bool = False
    certain: bool = True


def rebuild(pieces: Sequence[Piece], is_original: Callable[[str], bool] | None = None) -> Rebuilt:
    """Join pieces to a text.

    Args:
        pieces: in the text's order; none is empty.
        is_original: whether a text is the whole original one; `None` if nothing can tell.
    """
    if not pieces:
        return Rebuilt("", ())
    first = layout(pieces, None, 0)
    confirmed = _confirmed(pieces, first, is_original)
    if confirmed is not None or not first.doubts:
        return confirmed or _rendered(pieces, first)
    return _best_layout(tuple(pieces), is_original)


@lru_cache(maxsize=64)  # this may take seconds, and the same pieces come again with every question
def _best_layout(pieces: tuple[Piece, ...], is_original: Callable[[str], bool] | None) -> Rebuilt:
    """Try the ways in which pieces may follow each other, until one gives the original; otherwise take the best fit."""
    first = best = layout(pieces, None, 0)
    hashed = 0
    for cap, join in _ways(pieces, first.doubts):
        tried = layout(pieces, cap, join)
        if tried.faults < best.faults:
            best = tried
        hashed += tried.places[-1] + len(pieces[-1].text)
        if hashed > _MOST_HASHED or (is_original is None and not best.faults):
            break
        confirmed = _confirmed(pieces, tried, is_original) if tried.faults <= best.faults else None
        if confirmed is not None:
            return confirmed
    return replace(_rendered(pieces, best), certain=False)


def _ways(pieces: Sequence[Piece], doubts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of `cap` and `join` to try, each for the whole text, since a splitter splits all of it in the same way."""
    for join in (0, 1, 2):
        yield 0, join
    sizes = {size for number in doubts for size in overlaps(pieces[number - 1], pieces[number])}
    for cap in sorted(sizes)[:_MOST_TRIES]:
        yield cap, 0


# -------------------------------------------------------------------------------------------------- rendering


def _confirmed(pieces: Sequence[Piece], placed: Layout, is_original: Callable[[str], bool] | None) -> Rebuilt | None:
    """The text of a layout, if some white space in its gaps makes it the original."""
    if is_original is None:
        return None
    fills: tuple[Callable[[int], str], ...] = (_usual, lambda length: " " * length, lambda length: "\n" * length)
    for fill in fills:
        rendered = _rendered(pieces, placed, fill)
        for end in ("", "\n", " ", "\n\n"):
            if is_original(rendered.text + end):
                trailing = ((len(rendered.text), len(rendered.text) + len(end)),) if end else ()
                blanks = (*rendered.blanks, *trailing)
                return replace(rendered, text=rendered.text + end, blanks=blanks, confirmed=True)
        if not rendered.blanks:
            break
    return None


def _usual(length: int) -> str:
    return " " if length == 1 else "\n" * max(length, 1)


def _rendered(pieces: Sequence[Piece], placed: Layout, fill: Callable[[int], str] = _usual) -> Rebuilt:
    parts: list[str] = []
    places = [0] * len(pieces)
    blanks: list[tuple[int, int]] = []
    missing: list[Missing] = []
    reached = written = 0  # in the original, and in the rebuilt text
    for number in sorted(range(len(pieces)), key=lambda n: (placed.places[n], n)):
        piece, at = pieces[number], placed.places[number]
        gap = at - reached
        unknown = piece.follows is False and piece.start is None and number > 0
        if (gap > 0 or unknown) and _is_missing(piece, gap):
            between = "\n\n" if written else ""
            parts.append(between)
            missing.append(Missing(written, gap if gap > 0 else None))
            written += len(between)
        elif gap > 0:
            parts.append(fill(gap))
            blanks.append((written, written + gap))
            written += gap
        elif not gap and parts and piece.start is None and is_glued(pieces[number - 1], piece):
            parts.append(fill(0))
            blanks.append((written, written + len(parts[-1])))
            written += len(parts[-1])
        reached = max(reached, at)
        places[number] = written - (reached - at)
        new = piece.text[reached - at :]
        parts.append(new)
        written += len(new)
        reached += len(new)
    return Rebuilt("".join(parts), tuple(places), tuple(blanks), tuple(missing))


def _is_missing(piece: Piece, gap: int) -> bool:
    return not piece.follows and (piece.follows is False or gap > WHITE_SPACE)

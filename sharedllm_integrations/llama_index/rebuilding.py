"""A text from pieces of it: put in place, overlaps written once, gaps filled with white space and named.

Offsets of nodes are found by looking a node's text up in the document, from behind the start of the node before it. So
they are places where the text stands, but not always the place that it came from: in repetitive text a node is found
too early. Where that cannot be, an offset is taken; elsewhere the ways in which the pieces may follow each other are
tried, and the hash of the whole text, which nodes carry, says which one is right.
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
        characters: how many, where that is known.
    """

    at: int
    characters: int | None


@dataclass(frozen=True)
class Rebuilt:
    """A text, as far as its pieces tell it.

    Attributes:
        text: of all pieces.
        places: where each piece begins in it.
        blanks: (start, end) of white space that stands for white space which no piece holds.
        missing: what is not there.
        confirmed: whether the text is known to be the original one, by its hash.
        certain: whether nothing in it is a choice among several possible texts.
    """

    text: str
    places: tuple[int, ...]
    blanks: tuple[tuple[int, int], ...] = ()
    missing: tuple[Missing, ...] = ()
    confirmed: bool = False
    certain: bool = True


def rebuild(pieces: Sequence[Piece], is_original: Callable[[str], bool] | None = None) -> Rebuilt:
    """The text of some pieces.

    Args:
        pieces: in the text's order; none is empty.
        is_original: whether a text is the whole original one; `None` where that cannot be told.
    """
    if not pieces:
        return Rebuilt("", ())
    first = layout(pieces, None, 0)
    confirmed = _confirmed(pieces, first, is_original)
    if confirmed is not None or not first.doubts:
        return confirmed or _rendered(pieces, first)
    return _tried(tuple(pieces), is_original)


@lru_cache(maxsize=64)  # this may take seconds, and the same pieces come again with every question
def _tried(pieces: tuple[Piece, ...], is_original: Callable[[str], bool] | None) -> Rebuilt:
    """The text of the way in which pieces may follow each other that is right, or fits best."""
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
    """Most characters shared, and white space where none are: a splitter cuts all of a text in the same way."""
    for join in (0, 1, 2):
        yield 0, join
    sizes = {size for number in doubts for size in overlaps(pieces[number - 1], pieces[number])}
    for cap in sorted(sizes)[:_MOST_TRIES]:
        yield cap, 0


# -------------------------------------------------------------------------------------------------- what is written


def _confirmed(pieces: Sequence[Piece], placed: Layout, is_original: Callable[[str], bool] | None) -> Rebuilt | None:
    """The text of a layout, if white space can be put into its gaps so that it is the original."""
    if is_original is None:
        return None
    fills: tuple[Callable[[int], str], ...] = (_usual, lambda length: " " * length, lambda length: "\n" * length)
    for fill in fills:
        made = _rendered(pieces, placed, fill)
        for end in ("", "\n", " ", "\n\n"):
            if is_original(made.text + end):
                blanks = (*made.blanks, (len(made.text), len(made.text) + len(end))) if end else made.blanks
                return replace(made, text=made.text + end, blanks=blanks, confirmed=True)
        if not made.blanks:
            break
    return None


def _usual(length: int) -> str:
    return " " if length == 1 else "\n" * max(length, 1)


def _rendered(pieces: Sequence[Piece], placed: Layout, fill: Callable[[int], str] = _usual) -> Rebuilt:
    parts: list[str] = []
    places = [0] * len(pieces)
    blanks: list[tuple[int, int]] = []
    missing: list[Missing] = []
    reached = written = 0  # in the original, and in what is written
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

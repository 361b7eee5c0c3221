"""Where pieces of a text stand in it, as one way of reading their offsets and overlaps has it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

__all__ = ["LEAST_OVERLAP", "WHITE_SPACE", "Layout", "Piece", "is_glued", "layout", "overlaps"]

WHITE_SPACE = 32  # characters: the longest gap that is taken for white space where nothing says what stood there
LEAST_OVERLAP = 12  # characters that are no accident where there is no offset
_PROBE = 16


@dataclass(frozen=True)
class Piece:
    """A part of a text.

    Attributes:
        text: of it.
        start: where it was found in the whole text.
        follows: whether it is the next one behind the piece before it; `None` where nobody knows.
    """

    text: str
    start: int | None = None
    follows: bool | None = None


@dataclass
class Layout:
    """Where pieces stand in the original text, as one way of reading their offsets has it."""

    places: list[int] = field(default_factory=list)
    doubts: list[int] = field(default_factory=list)  # pieces of which the place is a choice
    faults: int = 0  # what no splitter would do


def layout(pieces: Sequence[Piece], cap: int | None, join: int) -> Layout:
    """Place pieces.

    Args:
        pieces: in order.
        cap: the most characters that neighbours share where offsets do not say it; `None` to go by offsets first.
        join: characters of white space between neighbours that share nothing.
    """
    made = Layout()
    last = 0  # the piece that reaches furthest
    for number, piece in enumerate(pieces):
        if not number:
            made.places.append(piece.start or 0)
            continue
        reached = made.places[last] + len(pieces[last].text)
        at = piece.start
        if at is not None and not _agrees(pieces, made.places, number, at):
            at = None
            made.faults += 1
        # Behind another piece than its neighbour it is one of a second cut of the same text, and says nothing new.
        doubted = at is None or (last == number - 1 and _in_doubt(piece, reached - at))
        if piece.follows is not False and doubted:
            made.doubts.append(number)
            if at is None or cap is not None:
                at = _behind(pieces[last], piece, reached, at, cap, join)
            glued = piece.start is not None and at == reached and is_glued(pieces[last], piece)
            if at + len(piece.text) <= reached or glued:
                made.faults += 1
        elif at is None:
            at = reached
        elif piece.follows and at - reached > WHITE_SPACE:
            made.faults += 1
        made.places.append(at)
        if at + len(piece.text) > reached:
            last = number
    return made


def _agrees(pieces: Sequence[Piece], places: Sequence[int], number: int, at: int) -> bool:
    """Whether a piece may stand at a place: the pieces that are there say the same."""
    text = pieces[number].text
    end = at + len(text)
    for other in range(number - 1, -1, -1):
        start, there = places[other], pieces[other].text
        low, high = max(at, start), min(end, start + len(there))
        if low < high and text[low - at : high - at] != there[low - start : high - start]:
            return False
        if start <= at:
            break
    return True


def _in_doubt(piece: Piece, shared: int) -> bool:
    """Whether a piece that was found so far inside the ones before it could have come from further behind.

    Then its text stands at both places, and so repeats itself: after as much as it shares, or less, or, where it goes
    on with white space there, after so much more.
    """
    if shared <= 0 or shared >= len(piece.text):
        return shared > 0
    new = piece.text[shared:]
    furthest = shared + len(new) - len(new.lstrip())
    return next(iter(overlaps(piece, piece)), 0) >= max(len(piece.text) - furthest, 1)


def _behind(before: Piece, piece: Piece, reached: int, least: int | None, cap: int | None, join: int) -> int:
    """Where a piece stands that goes on where the ones before it end, which they may overlap."""
    if least is not None and least > reached:
        return least
    lowest = LEAST_OVERLAP if cap is None else 1
    room = len(piece.text) if least is None else reached - least
    most = room if cap is None else min(room, cap)
    fitting = (size for size in overlaps(before, piece) if lowest <= size <= most)
    return reached - size if (size := next(fitting, 0)) else reached + join


@lru_cache(maxsize=4_096)
def overlaps(before: Piece, piece: Piece) -> tuple[int, ...]:
    """How many characters the end of one piece may share with the beginning of the next, the most first."""
    first, second = before.text, piece.text
    found: list[int] = []
    at = max(len(first) - len(second) + 1, 0)
    probe = second[:_PROBE]
    while 0 <= (at := first.find(probe, at)) <= len(first) - _PROBE:
        if second.startswith(first[at:]):
            found.append(len(first) - at)
        at += 1
    for size in range(min(_PROBE, len(first) + 1, len(second)) - 1, 0, -1):
        if second.startswith(first[len(first) - size :]):
            found.append(size)
    return tuple(found)


def is_glued(before: Piece, after: Piece) -> bool:
    """Whether two pieces that share nothing have no white space between them, which a splitter may have dropped."""
    return not (before.text[-1:].isspace() or after.text[:1].isspace())

"""Places pieces of a text in it, for one assumption about their offsets and overlaps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

__all__ = ["LEAST_OVERLAP", "WHITE_SPACE", "Layout", "Piece", "is_glued", "layout", "overlaps"]

WHITE_SPACE = 32  # characters: a gap of at most this length is filled with white space if its content is unknown
LEAST_OVERLAP = 12  # characters: a shorter overlap may be an accident where there is no offset
_PROBE = 16


@dataclass(frozen=True)
class Piece:
    """A part of a text.

    Attributes:
        text: of the part.
        start: its offset in the whole text, if known.
        follows: whether it directly follows the piece before it; `None` if unknown.
    """

    text: str
    start: int | None = None
    follows: bool | None = None


@dataclass
class Layout:
    """Places of pieces in the original text, for one assumption about their offsets.

    Attributes:
        places: the offset of each piece.
        doubts: numbers of pieces whose place is a choice among several.
        faults: how often the places contradict what splitters do.
    """

    places: list[int] = field(default_factory=list)
    doubts: list[int] = field(default_factory=list)
    faults: int = 0


def layout(pieces: Sequence[Piece], cap: int | None, join: int) -> Layout:
    """Place pieces.

    Args:
        pieces: in the text's order.
        cap: the most characters that neighbours share where offsets leave it open; `None` prefers offsets.
        join: characters of white space between neighbours that share nothing.
    """
    result = Layout()
    last = 0  # the piece that reaches furthest
    for number, piece in enumerate(pieces):
        if not number:
            result.places.append(piece.start or 0)
            continue
        reached = result.places[last] + len(pieces[last].text)
        at = piece.start
        if at is not None and not _agrees(pieces, result.places, number, at):
            at = None
            result.faults += 1
        # After a piece that is not its neighbour, it belongs to a second split of the same text and adds nothing.
        doubted = at is None or (last == number - 1 and _in_doubt(piece, reached - at))
        if piece.follows is not False and doubted:
            result.doubts.append(number)
            if at is None or cap is not None:
                at = _behind(pieces[last], piece, reached, at, cap, join)
            glued = piece.start is not None and at == reached and is_glued(pieces[last], piece)
            if at + len(piece.text) <= reached or glued:
                result.faults += 1
        elif at is None:
            at = reached
        elif piece.follows and at - reached > WHITE_SPACE:
            result.faults += 1
        result.places.append(at)
        if at + len(piece.text) > reached:
            last = number
    return result


def _agrees(pieces: Sequence[Piece], places: Sequence[int], number: int, at: int) -> bool:
    """Whether a piece may stand at a place: the pieces already there have the same text."""
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
    """Whether a piece that overlaps the ones before it by `shared` characters could come from a later place.

    Then its text stands at both places and repeats itself: after at most the shared characters, or, if white space
    follows them, after that many more.
    """
    if shared <= 0 or shared >= len(piece.text):
        return shared > 0
    new = piece.text[shared:]
    furthest = shared + len(new) - len(new.lstrip())
    return next(iter(overlaps(piece, piece)), 0) >= max(len(piece.text) - furthest, 1)


def _behind(before: Piece, piece: Piece, reached: int, least: int | None, cap: int | None, join: int) -> int:
    """The place of a piece that continues the ones before it, and may overlap them."""
    if least is not None and least > reached:
        return least
    lowest = LEAST_OVERLAP if cap is None else 1
    room = len(piece.text) if least is None else reached - least
    most = room if cap is None else min(room, cap)
    fitting = (size for size in overlaps(before, piece) if lowest <= size <= most)
    return reached - size if (size := next(fitting, 0)) else reached + join


@lru_cache(maxsize=4_096)
def overlaps(before: Piece, piece: Piece) -> tuple[int, ...]:
    """Return the lengths at which the end of one piece equals the beginning of the next, the longest first."""
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
    """Return whether no white space separates two pieces that share nothing; a splitter may have dropped it."""
    return not (before.text[-1:].isspace() or after.text[:1].isspace())

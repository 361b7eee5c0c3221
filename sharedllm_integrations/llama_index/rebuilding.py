"""A text from pieces of it: put in place, overlaps written once, gaps filled with white space and named.

Offsets of nodes are found by looking a node's text up in the document, from behind the start of the node before it. So
they are places where the text stands, but not always the place that it came from: in repetitive text a node is found
too early. Where that cannot be, an offset is taken; elsewhere the ways in which the pieces may follow each other are
tried, and the hash of the whole text, which nodes carry, says which one is right.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

__all__ = ["Missing", "Piece", "Rebuilt", "rebuild"]

_WHITE_SPACE = 32  # characters: the longest gap that is taken for white space where nothing says what stood there
_LEAST_OVERLAP = 12  # characters that are no accident where there is no offset
_PROBE = 16
_MOST_TRIES = 4_000
_MOST_HASHED = 50_000_000  # characters


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


@dataclass
class _Layout:
    """Where pieces stand in the original text, as one way of reading their offsets has it."""

    places: list[int] = field(default_factory=list)
    doubts: list[int] = field(default_factory=list)  # pieces of which the place is a choice
    faults: int = 0  # what no splitter would do


def rebuild(pieces: Sequence[Piece], is_original: Callable[[str], bool] | None = None) -> Rebuilt:
    """The text of some pieces.

    Args:
        pieces: in the text's order; none is empty.
        is_original: whether a text is the whole original one; `None` where that cannot be told.
    """
    if not pieces:
        return Rebuilt("", ())
    first = best = _layout(pieces, None, 0)
    confirmed = _confirmed(pieces, first, is_original)
    if confirmed is not None or not first.doubts:
        return confirmed or _rendered(pieces, first)
    hashed = 0
    for cap, join in _ways(pieces, first.doubts):
        layout = _layout(pieces, cap, join)
        if layout.faults < best.faults:
            best = layout
        hashed += layout.places[-1] + len(pieces[-1].text)
        if hashed > _MOST_HASHED or (is_original is None and not best.faults):
            break
        confirmed = _confirmed(pieces, layout, is_original) if layout.faults <= best.faults else None
        if confirmed is not None:
            return confirmed
    return replace(_rendered(pieces, best), certain=False)


def _ways(pieces: Sequence[Piece], doubts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Most characters shared, and white space where none are: a splitter cuts all of a text in the same way."""
    for join in (0, 1, 2):
        yield 0, join
    overlaps = {size for number in doubts for size in _overlaps(pieces[number - 1], pieces[number])}
    for cap in sorted(overlaps)[:_MOST_TRIES]:
        yield cap, 0


# -------------------------------------------------------------------------------------------------- where pieces stand


def _layout(pieces: Sequence[Piece], cap: int | None, join: int) -> _Layout:
    """Place pieces.

    Args:
        pieces: in order.
        cap: the most characters that neighbours share where offsets do not say it; `None` to go by offsets first.
        join: characters of white space between neighbours that share nothing.
    """
    made = _Layout()
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
            glued = piece.start is not None and at == reached and _is_glued(pieces[last], piece)
            if at + len(piece.text) <= reached or glued:
                made.faults += 1
        elif at is None:
            at = reached
        elif piece.follows and at - reached > _WHITE_SPACE:
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
    return next(iter(_overlaps(piece, piece)), 0) >= max(len(piece.text) - furthest, 1)


def _behind(before: Piece, piece: Piece, reached: int, least: int | None, cap: int | None, join: int) -> int:
    """Where a piece stands that goes on where the ones before it end, which they may overlap."""
    if least is not None and least > reached:
        return least
    lowest = _LEAST_OVERLAP if cap is None else 1
    room = len(piece.text) if least is None else reached - least
    most = room if cap is None else min(room, cap)
    fitting = (size for size in _overlaps(before, piece) if lowest <= size <= most)
    return reached - size if (size := next(fitting, 0)) else reached + join


@lru_cache(maxsize=4_096)
def _overlaps(before: Piece, piece: Piece) -> tuple[int, ...]:
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


# -------------------------------------------------------------------------------------------------- what is written


def _confirmed(pieces: Sequence[Piece], layout: _Layout, is_original: Callable[[str], bool] | None) -> Rebuilt | None:
    """The text of a layout, if white space can be put into its gaps so that it is the original."""
    if is_original is None:
        return None
    fills: tuple[Callable[[int], str], ...] = (_usual, lambda length: " " * length, lambda length: "\n" * length)
    for fill in fills:
        made = _rendered(pieces, layout, fill)
        for end in ("", "\n", " ", "\n\n"):
            if is_original(made.text + end):
                blanks = (*made.blanks, (len(made.text), len(made.text) + len(end))) if end else made.blanks
                return replace(made, text=made.text + end, blanks=blanks, confirmed=True)
        if not made.blanks:
            break
    return None


def _usual(length: int) -> str:
    return " " if length == 1 else "\n" * max(length, 1)


def _rendered(pieces: Sequence[Piece], layout: _Layout, fill: Callable[[int], str] = _usual) -> Rebuilt:
    parts: list[str] = []
    places = [0] * len(pieces)
    blanks: list[tuple[int, int]] = []
    missing: list[Missing] = []
    reached = written = 0  # in the original, and in what is written
    for number in sorted(range(len(pieces)), key=lambda n: (layout.places[n], n)):
        piece, at = pieces[number], layout.places[number]
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
        elif not gap and parts and piece.start is None and _is_glued(pieces[number - 1], piece):
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
    return not piece.follows and (piece.follows is False or gap > _WHITE_SPACE)


def _is_glued(before: Piece, after: Piece) -> bool:
    """Whether two pieces that share nothing have no white space between them, which a splitter may have dropped."""
    return not (before.text[-1:].isspace() or after.text[:1].isspace())

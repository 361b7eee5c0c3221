"""Finds the order of pieces of a text by their overlaps, and checks it by the hash of the text."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice, permutations

from .joining import Rebuilt, rebuild
from .placing import LEAST_OVERLAP, Piece, overlaps

__all__ = ["reordered"]

_MOST_ORDERS = 120
_MOST_CHARACTERS = 20_000_000  # of all orders tried together


@lru_cache(maxsize=64)  # the same pieces come again with every question
def reordered(pieces: tuple[Piece, ...], is_original: Callable[[str], bool] | None) -> Rebuilt | None:
    """Return the whole original text, if an order of the pieces gives it.

    Args:
        pieces: in any order.
        is_original: whether a text is the whole original one; `None` if nothing can tell.

    Returns:
        The text, with places in the order of `pieces`; `None` if no order that was tried gives it.
    """
    if is_original is None:
        return None
    most = _MOST_CHARACTERS // max(sum(len(piece.text) for piece in pieces), 1)
    for order in islice(_orders(pieces), min(_MOST_ORDERS, most)):
        tried = rebuild([replace(pieces[number], start=None, follows=None) for number in order], is_original)
        if tried.confirmed:
            places = dict(zip(order, tried.places, strict=True))
            return replace(tried, places=tuple(places[number] for number in range(len(pieces))))
    return None


def _orders(pieces: tuple[Piece, ...]) -> Iterator[tuple[int, ...]]:
    """Orders to try, the likeliest first: each piece after the one whose end it overlaps most."""
    chained = _chained(pieces)
    yield chained
    if len(pieces) <= 5:
        yield from permutations(range(len(pieces)))


def _chained(pieces: tuple[Piece, ...]) -> tuple[int, ...]:
    numbers = range(len(pieces))
    shared = [
        (size, first, second)
        for first in numbers
        for second in numbers
        if first != second and (size := next(iter(overlaps(pieces[first], pieces[second])), 0)) >= LEAST_OVERLAP
    ]
    behind: dict[int, int] = {}
    before: dict[int, int] = {}
    for _, first, second in sorted(shared, key=lambda one: -one[0]):
        if first not in behind and second not in before and _end(behind, second) != first:
            behind[first], before[second] = second, first
    return tuple(one for start in numbers if start not in before for one in _chain(behind, start))


def _chain(behind: dict[int, int], start: int) -> Iterator[int]:
    current: int | None = start
    while current is not None:
        yield current
        current = behind.get(current)


def _end(behind: dict[int, int], start: int) -> int:
    *_, last = _chain(behind, start)
    return last

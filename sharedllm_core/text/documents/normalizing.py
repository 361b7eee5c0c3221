"""What holds for the text of every format: line feeds as line ends, and no surrogates."""

from bisect import bisect_left
from dataclasses import replace

from ..unicode import count_surrogates, well_formed
from .extracted import Extracted

__all__ = ["normalized"]


def normalized(extracted: Extracted) -> Extracted:
    """Return the text with line feeds as line ends and U+FFFD for lone surrogates, and its places where they are then.

    What is replaced is reported in the warnings.
    """
    text, warnings = extracted.text, tuple(extracted.warnings)
    if surrogates := count_surrogates(text):
        characters = "1 character is" if surrogates == 1 else f"{surrogates} characters are"
        warnings = (*warnings, f"{characters} half of a surrogate pair, and replaced by U+FFFD")
        text = well_formed(text)
    if "\r" not in text:
        return replace(extracted, text=text, warnings=warnings)
    double = _double_line_ends(text)
    moved = [replace(place, start=place.start - bisect_left(double, place.start)) for place in extracted.places]
    return replace(
        extracted,
        text=text.replace("\r\n", "\n").replace("\r", "\n"),
        places=moved,
        warnings=warnings,
        double_line_ends=_compact(double, text),
    )


def _double_line_ends(text: str) -> list[int]:
    """Return where line ends of two characters begin."""
    positions: list[int] = []
    at = text.find("\r\n")
    while at >= 0:
        positions.append(at)
        at = text.find("\r\n", at + 2)
    return positions


def _compact(double: list[int], text: str) -> bool | tuple[int, ...]:
    """Return the positions of these line ends in the text with line feeds; `True` if there are no others."""
    if len(double) == text.count("\n") == text.count("\r"):
        return True
    return tuple(at - number for number, at in enumerate(double))

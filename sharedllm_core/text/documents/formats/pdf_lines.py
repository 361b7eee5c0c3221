"""The lines of a page of a PDF file: spaces by the width of the gaps, and the order of the lines.

The order is that of the file, which programs that set text write column after column. Forms and figures come in the
order in which they were drawn; their lines are sorted into rows by their place.
"""

from dataclasses import dataclass
from itertools import pairwise

from .pdf_characters import Character

__all__ = ["page_lines"]

_WORD_GAP = 0.1  # a gap of this share of the font's height separates words
_NO_GAP = 0.05  # at a gap below this share PDFium's space is wrong
_DRAWN_JUMPS = 3  # upward steps from line to line; a page of few columns has fewer
_WIDE_LINE = 0.15  # of the width of the text: a line of a column
_MAX_COLUMN_SHARE = 0.33  # of the text, in wide lines side by side; a page with more has columns


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, with its box in points."""

    text: str
    left: float
    right: float
    bottom: float
    top: float


def page_lines(characters: list[Character]) -> list[str]:
    """Return the lines of a page in reading order.

    Args:
        characters: of the page, with accents joined.
    """
    lines = [_line(part) for part in _split(characters)]
    placed = [line for line in lines if line.text and line.top > line.bottom]
    if sum(line.bottom > before.top for before, line in pairwise(placed)) < _DRAWN_JUMPS:
        return [line.text for line in lines]
    rows = _rows(placed)
    if _column_share(rows) > _MAX_COLUMN_SHARE:
        return [line.text for line in lines]
    return [" ".join(line.text for line in row) for row in rows]


def _split(characters: list[Character]) -> list[list[Character]]:
    lines: list[list[Character]] = [[]]
    for character in characters:
        lines[-1].append(character)
        if character.text.endswith("\n"):
            lines.append([])
    return lines


def _line(characters: list[Character]) -> _Line:
    boxes = [character for character in characters if character.text and character.height > 0]
    return _Line(
        _line_text(characters),
        left=min((box.left for box in boxes), default=0.0),
        right=max((box.right for box in boxes), default=0.0),
        bottom=min((box.bottom for box in boxes), default=0.0),
        top=max((box.top for box in boxes), default=0.0),
    )


def _line_text(characters: list[Character]) -> str:
    parts: list[str] = []
    before: Character | None = None  # which has a box
    has_space = False  # one of PDFium's before the next character
    for character in characters:
        if character.is_generated and before is not None:
            has_space = True
        elif character.text:
            if before is not None and (_apart(before, character) or (has_space and not _touch(before, character))):
                parts.append(" ")
            has_space = False
            parts.append(character.text)
            before = character if character.height > 0 else None
    return "".join(parts).rstrip()


def _apart(before: Character, character: Character) -> bool:
    """Whether a character stands on the line of the one before, with a gap between."""
    height = min(before.height, character.height)
    return character.is_on_line_of(before) and character.left - before.right > _WORD_GAP * height


def _touch(before: Character, character: Character) -> bool:
    """Whether a character of the same size stands close behind the one before, so that no space is between them."""
    height = min(before.height, character.height)
    is_close = abs(character.left - before.right) < _NO_GAP * height
    return is_close and abs(character.bottom - before.bottom) < _NO_GAP * height


def _rows(lines: list[_Line]) -> list[list[_Line]]:
    """Sort lines into rows from top to bottom, and each row from left to right."""
    rows: list[list[_Line]] = []
    for line in sorted(lines, key=lambda line: -(line.bottom + line.top)):
        if rows and _is_in_row(line, rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.left) for row in rows]


def _is_in_row(line: _Line, row: list[_Line]) -> bool:
    """Whether a line shares more than half of the height that all lines of a row have in common."""
    top, bottom = min(other.top for other in row), max(other.bottom for other in row)
    return min(top, line.top) - max(bottom, line.bottom) > min(top - bottom, line.top - line.bottom) / 2


def _column_share(rows: list[list[_Line]]) -> float:
    """Return the share of the text that stands in wide lines side by side."""
    lines = [line for row in rows for line in row]
    width = max(line.right for line in lines) - min(line.left for line in lines)
    wide = [[line for line in row if line.right - line.left > _WIDE_LINE * width] for row in rows]
    lengths = [sum(len(line.text) for line in row) for row in rows]
    in_columns = sum(length for length, columns in zip(lengths, wide, strict=True) if len(columns) > 1)
    return in_columns / sum(lengths)

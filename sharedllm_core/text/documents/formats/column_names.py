"""Recognizes rows of column names, and writes rows so that each value stands behind the name of its column."""

import re
from collections.abc import Sequence
from itertools import islice

__all__ = ["has_column_names", "row_text"]

_EXAMINED_ROWS = 200
_CURRENCY = r"(?:[$€£¥₹]|[A-Z]{3})?"
_NUMBER = re.compile(rf"[-+(]?{_CURRENCY}\s*[-+]?\d[\d.,'\s\u00a0\u202f]*(?:[eE][-+]?\d+)?\s*(?:%|{_CURRENCY})\)?|=.+")
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\.?(?:[T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(?::\d{2}.*)?")
_ADDRESS = re.compile(r"\S+@\S+\.\S+|https?://\S+")
_YEAR = re.compile(r"(?:19|20)\d\d")


def row_text(names: Sequence[str] | None, cells: Sequence[str]) -> str:
    """Write a row as one line.

    Args:
        names: of the columns; `None` if they have none. Cells that are missing are written as empty ones.
        cells: their texts, each of one line.
    """
    if names is None:
        return " | ".join(cells)
    padded = [*cells, *[""] * (len(names) - len(cells))]
    unnamed = padded[len(names) :]
    pairs = [f"{name}: {cell}" if name else cell for name, cell in zip(names, padded, strict=False) if name or cell]
    return "; ".join([*pairs, *unnamed])


def has_column_names(rows: Sequence[Sequence[str]], *, unsure: bool) -> bool:
    """Whether the first row holds column names instead of data.

    Each column votes: a text above numbers or dates is a name; a number above numbers is data, and so is a text that
    the column repeats below.

    Args:
        rows: all rows of the table, as texts.
        unsure: the result where no column decides.
    """
    if len(rows) < 2:
        return unsure and bool(rows)
    first = [cell.strip() for cell in rows[0]]
    below = list(islice(rows, 1, _EXAMINED_ROWS))
    votes = 0
    for column, cell in enumerate(first):
        values = [row[column].strip() for row in below if column < len(row) and row[column].strip()]
        if cell and values:
            votes += _vote(cell, values)
    return votes > 0 if votes else unsure


def _vote(first: str, values: Sequence[str]) -> int:
    kinds = [_kind(value) for value in values]
    common = max(set(kinds), key=kinds.count)
    kind = _kind(first)
    if kind == "text":
        if common != "text":
            return 1
        return -1 if first in values else 0
    if kind == "number" and _YEAR.fullmatch(first) and not all(_YEAR.fullmatch(value) for value in values):
        return 1
    return -1 if kind == common else 0


def _kind(value: str) -> str:
    for kind, pattern in (("date", _DATE), ("number", _NUMBER), ("address", _ADDRESS)):
        if pattern.fullmatch(value):
            return kind
    return "text"

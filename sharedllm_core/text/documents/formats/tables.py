"""Text of CSV and TSV files."""

import re

from ..extracted import Extracted
from .column_names import has_column_names, row_text
from .delimited import find_separator, parse_rows
from .encodings import decode_text
from .text_builder import TextBuilder, one_line

__all__ = ["read_table"]

_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


def read_table(content: bytes, separator: str) -> Extracted:
    """Convert a table to one line per row, each with the column names, so that rows are readable in any chunk.

    Args:
        content: of the file.
        separator: usual for this kind of file; another one is recognized, or named by a first line such as `sep=;`.

    Returns:
        The rows, each a place: its number in the file, the first row being 1.
    """
    decoded = decode_text(content)
    text = decoded.text
    declared = _SEPARATOR_LINE.match(text)
    first_row = 1
    if declared:
        separator, text, first_row = declared[1], text[declared.end() :], 2
    else:
        separator = find_separator(text, separator)
    parsed, warnings = parse_rows(text, separator)
    rows = [
        (number, [one_line(cell) for cell in row])
        for number, row in enumerate(parsed, start=first_row)
        if any(cell.strip() for cell in row)
    ]
    builder = TextBuilder()
    builder.warnings.extend((*decoded.warnings, *warnings))
    named = has_column_names([row for _, row in rows], unsure=True)
    names = rows[0][1] if named else None
    for place, (number, row) in enumerate(rows):
        builder.add_place("row", str(number))
        if place or not named:
            builder.add_block(row_text(names, row))
        else:
            builder.add_block((separator if separator != "\t" else " | ").join(row))
    return builder.extracted()

"""Parsing of separated values: which separator a text uses, and its rows, also where quotes are not closed."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice

__all__ = ["find_separator", "parse_rows"]

_SEPARATORS = ";\t,|"
_EXAMINED_LINES = 200
_BLANK_BEFORE_QUOTE = re.compile(r'[;\t,|] +"')


def find_separator(text: str, usual: str) -> str:
    """Find the separator that divides the most rows into as many fields as the first.

    Args:
        text: of the file.
        usual: the separator of this kind of file, for a text in which none occurs in the first row.
    """
    sample = "".join(islice(io.StringIO(text), _EXAMINED_LINES))

    def score(separator: str) -> tuple[float, bool]:
        rows = [row for row, _, _ in _lenient_rows(sample, separator) if any(row)]
        if not rows or len(rows[0]) < 2:
            return 0.0, False
        return sum(len(row) == len(rows[0]) for row in rows) / len(rows), separator == usual == "\t"

    best = max(_SEPARATORS, key=score)
    return best if score(best)[0] else usual


def parse_rows(text: str, separator: str) -> tuple[list[list[str]], list[str]]:
    """Parse all rows, blank ones included.

    Returns:
        The rows, and a warning for each quote that is not closed.
    """
    try:
        strict = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=separator,
            strict=True,
            skipinitialspace=bool(_BLANK_BEFORE_QUOTE.search(text)),
        )
        return list(strict), []
    except csv.Error:
        rows, warnings = [], []
        for number, (row, unclosed, _) in enumerate(_lenient_rows(text, separator), start=1):
            rows.append(row)
            if unclosed:
                warnings.append(f"row {number} has a quote that is not closed")
        return rows, warnings


def _lenient_rows(text: str, separator: str) -> Iterator[tuple[list[str], bool, int]]:
    """Yield each row, whether a quote in it is not closed, and where it ends.

    A quote that is not closed is a character of its field, which then ends where it would without quotes.
    """
    end_of_field = re.compile(rf"{re.escape(separator)}|\r\n|\n|\r|\Z")
    position, unclosed = 0, False
    row: list[str] = []
    no_quote_after = len(text)
    while position < len(text) or row:
        quoted = re.compile(r' *"').match(text, position)
        field = None
        if quoted and position < no_quote_after:
            field, closing = _quoted_field(text, quoted.end(), separator)
            if field is None:
                unclosed = True
                no_quote_after = position if closing == len(text) else no_quote_after
            else:
                position = closing
        end = end_of_field.search(text, position)
        assert end
        row.append(text[position : end.start()] if field is None else field)
        position = end.end()
        if end[0] != separator:
            yield (row if any(row) or len(row) > 1 else []), unclosed, position
            row, unclosed = [], False
        elif position == len(text):
            row.append("")
            yield row, unclosed, position
            return


def _quoted_field(text: str, start: int, separator: str) -> tuple[str | None, int]:
    """The value of a quoted field and the end of its closing quote; `None` and where the search ended if it has none.

    A single quote within a line is a character of the field, as in `"a 3" pipe"`. One in a later line shows that the
    field was never closed: that quote opens another field.
    """
    position = start
    while (quote := text.find('"', position)) >= 0:
        after = text[quote + 1 : quote + 2]
        if after == '"':
            position = quote + 2
        elif after in {"", separator, "\n", "\r"}:
            return text[start:quote].replace('""', '"'), quote + 1
        elif "\n" in text[start:quote]:
            return None, quote
        else:
            position = quote + 1
    return None, len(text)

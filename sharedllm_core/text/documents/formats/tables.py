"""Text of CSV and TSV files."""

import csv
import io

from ..extracted import Extracted
from .encodings import decode

__all__ = ["read_table"]


def read_table(content: bytes, separator: str) -> Extracted:
    """Convert a table to one line per row, each with the column names, so that rows are readable in any chunk."""
    rows = list(csv.reader(io.StringIO(decode(content)), delimiter=separator))
    if not rows:
        return Extracted("")
    names = rows[0]
    lines = [separator.join(names).replace("\t", " | ")]
    for row in rows[1:]:
        padded = [*row, *[""] * (len(names) - len(row))]
        extra = padded[len(names) :]
        lines.append("; ".join([*(f"{n}: {v}" for n, v in zip(names, padded, strict=False)), *extra]))
    return Extracted("\n".join(lines))

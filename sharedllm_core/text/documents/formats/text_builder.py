"""Collects the text of a file block by block, with the places in it."""

import re
from collections.abc import Iterable, Sequence

from ..extracted import Extracted, ExtractionWarning, Place
from .column_names import has_column_names, row_text

__all__ = ["TextBuilder", "one_line"]

_LINE_ENDS = re.compile(r"\r\n?|[\v\f\u0085\u2028\u2029]")
_MAX_HEADING_LEVEL = 6


class TextBuilder:
    """Blocks of text, joined by line feeds.

    Attributes:
        warnings: of the file; readers append to them.
    """

    def __init__(self) -> None:
        self.warnings: list[str | ExtractionWarning] = []
        self._blocks: list[str] = []
        self._length = 0
        self._places: list[Place] = []

    def add_block(self, text: str) -> None:
        """Add a block, such as a paragraph; one without anything but white space is left out."""
        text = _LINE_ENDS.sub("\n", text).strip("\n")
        if text.strip():
            self._blocks.append(text)
            self._length += len(text) + 1

    def add_blocks(self, texts: Iterable[str]) -> None:
        """Add several blocks."""
        for text in texts:
            self.add_block(text)

    def add_blank_line(self) -> None:
        """Add an empty line, which sets off what follows."""
        self._blocks.append("")
        self._length += 1

    def add_heading(self, text: str, level: int) -> None:
        """Add a Markdown heading, which is a place.

        Args:
            text: of the heading.
            level: 1 is the highest; levels below the sixth are written as the sixth.
        """
        if title := one_line(text):
            self.add_place("heading", title)
            self.add_block(f"{'#' * min(level, _MAX_HEADING_LEVEL)} {title}")

    def add_place(self, kind: str, name: str, offset: int = 0) -> None:
        """Add a place that begins `offset` characters behind the begin of the next block."""
        self._places.append(Place(self._length + offset, kind, name))

    def add_table(self, rows: Sequence[Sequence[str]], *, named: bool | None = None) -> None:
        """Add a table, one block per row; values stand behind the names of their columns.

        Args:
            rows: of cells; rows may be shorter or longer than the first.
            named: whether the first row holds the column names; by default they are recognized by the rows below.
        """
        rows = [cells for row in rows if any(cells := [one_line(cell) for cell in row])]
        if named is None:
            named = has_column_names(rows, unsure=False)
        for number, row in enumerate(rows):
            self.add_block(row_text(rows[0] if named and number else None, row))

    def add_extracted(self, extracted: Extracted) -> None:
        """Add the text of a part, with its places and warnings."""
        start = self._length
        self._places.extend(Place(start + place.start, place.kind, place.name) for place in extracted.places)
        self.warnings.extend(extracted.warnings)
        if extracted.text:
            self._blocks.append(extracted.text)
            self._length += len(extracted.text) + 1

    def extracted(self) -> Extracted:
        """The text of all blocks."""
        text = "\n".join(self._blocks)
        places = sorted(
            (Place(min(place.start, len(text)), place.kind, place.name) for place in self._places),
            key=lambda place: place.start,
        )
        return Extracted(text, tuple(places), tuple(self.warnings))


def one_line(text: str) -> str:
    """A text without line ends, white space around and control characters."""
    return " ".join(line for part in text.splitlines() if (line := part.strip()))

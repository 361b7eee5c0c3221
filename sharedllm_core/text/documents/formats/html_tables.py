"""Tables of HTML pages: which of them only arrange the page, and the cells of the others, in their columns."""

from dataclasses import dataclass, field

from .text_builder import TextBuilder

__all__ = ["OpenTable"]

_MAX_SPAN = 1000


@dataclass
class OpenTable:
    """A table while its cells are read.

    Attributes:
        rows: texts of the cells, spans as empty cells.
        num_header_rows: rows at the beginning of which all cells are header cells.
    """

    rows: list[list[str]] = field(default_factory=list)
    num_header_rows: int = 0
    _spans: dict[int, int] = field(default_factory=dict)
    _only_headers: bool = True
    _row_is_open: bool = False

    def begin_row(self) -> None:
        """Begin a row; the one before ends."""
        self.end_row()
        self.rows.append([])
        self._only_headers = True
        self._row_is_open = True

    def add_cell(self, text: str, columns: int, rows: int, *, header: bool) -> None:
        """Add a cell that spans columns and rows."""
        if not self._row_is_open:
            self.begin_row()
        row = self.rows[-1]
        self._skip_spanned(row)
        for offset in range(max(1, min(columns, _MAX_SPAN))):
            if rows != 1:
                self._spans[len(row)] = rows - 1
            row.append("" if offset else text)
        self._only_headers = self._only_headers and header

    def end_row(self) -> None:
        """End the row."""
        if not self._row_is_open:
            return
        row = self.rows[-1]
        self._skip_spanned(row)
        if row and self._only_headers and self.num_header_rows == len(self.rows) - 1:
            self.num_header_rows += 1
        self._row_is_open = False

    def add_to(self, builder: TextBuilder) -> None:
        """Write the table."""
        self.end_row()
        if all(sum(bool(cell.strip()) for cell in row) < 2 for row in self.rows):  # it only arranges text
            for row in self.rows:
                builder.add_blocks(row)
            return
        head = self.num_header_rows if self.num_header_rows < len(self.rows) else 0
        if head > 1:
            width = max(len(row) for row in self.rows[:head])
            columns = ([row[column] for row in self.rows[:head] if column < len(row)] for column in range(width))
            names = [" ".join(part for part in column if part.strip()) for column in columns]
            builder.add_table([names, *self.rows[head:]], named=True)
        else:
            builder.add_table(self.rows, named=True if head else None)

    def _skip_spanned(self, row: list[str]) -> None:
        while (left := self._spans.get(len(row), 0)) != 0:
            self._spans[len(row)] = left - 1
            row.append("")

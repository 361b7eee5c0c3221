"""Tables of Word files: cells in their columns, also where cells are merged or missing."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ...extracted import Extracted
from ..archives import local_name
from ..text_builder import TextBuilder
from .names import W, child, is_on, value
from .paragraphs import transparent_content
from .styles import Styles

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["add_table"]

_MANY_BLOCKS = 4
_LONG_CELL = 400
_MAX_SPAN = 100


def add_table(
    builder: TextBuilder, table: "_Element", styles: Styles, read_cell: "Callable[[_Element], Extracted]"
) -> None:
    """Write a table; one that only arranges text, cell after cell.

    Args:
        builder: of the text around it.
        table: its element.
        styles: of the document.
        read_cell: reads the blocks of a cell.
    """
    rows = [row for row in _parts(table, "tr") if not _is_deleted(row)]
    read = [[None if cell is None else read_cell(cell) for cell in _cells(row)] for row in rows]
    if _arranges_text(read, table):
        for cells in read:
            for cell in cells:
                if cell is not None:
                    builder.add_extracted(cell)
        return
    texts = [["" if cell is None else _without_heading_marks(cell) for cell in cells] for cells in read]
    first_is_named = bool(rows) and (is_on(child(rows[0], "trPr"), "tblHeader") or styles.marks_first_row(table))
    builder.add_table(texts, named=True if first_is_named and len(rows) > 1 else None)


def _parts(element: "_Element", name: str) -> "Iterator[_Element]":
    """Yield the rows of a table or the cells of a row, also those within content controls."""
    for part in element:
        if local_name(part) == name:
            yield part
        elif (content := transparent_content(part)) is not None:
            yield from _parts(content, name)


def _is_deleted(row: "_Element") -> bool:
    properties = child(row, "trPr")
    return child(properties, "del") is not None or bool(is_on(properties, "hidden"))


def _cells(row: "_Element") -> "Iterator[_Element | None]":
    """Yield the cells of a row, and `None` for each column that has none of its own there."""
    yield from [None] * _count(value(row, "trPr", "gridBefore"))
    for cell in _parts(row, "tc"):
        properties = child(cell, "tcPr")
        merge = child(properties, "vMerge")
        goes_on = merge is not None and merge.get(f"{W}val", "continue") == "continue"
        deleted = child(properties, "cellDel") is not None
        yield None if goes_on or deleted else cell
        yield from [None] * (_count(value(properties, "gridSpan"), least=1) - 1)


def _count(number: str | None, least: int = 0) -> int:
    return max(least, min(int(number or 0), _MAX_SPAN))


def _arranges_text(rows: list[list[Extracted | None]], table: "_Element") -> bool:
    cells = [cell for row in rows for cell in row if cell is not None and cell.text.strip()]
    if all(sum(cell is not None and bool(cell.text.strip()) for cell in row) < 2 for row in rows):
        return True
    if table.find(f".//{W}tc//{W}tbl") is not None:
        return True
    return any(cell.text.count("\n") >= _MANY_BLOCKS and len(cell.text) > _LONG_CELL for cell in cells)


def _without_heading_marks(cell: Extracted) -> str:
    return "\n".join(line.lstrip("#").lstrip() if line.startswith("#") else line for line in cell.text.split("\n"))

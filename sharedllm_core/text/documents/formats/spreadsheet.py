"""Text of Excel files: the values as their cells show them, row by row."""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain, groupby, repeat
from typing import Any

from ....errors import DocumentError
from ..extracted import Extracted, ExtractionWarning
from .archives import Archive
from .cell_values import cell_text
from .column_names import has_column_names, row_text
from .optional import import_reader
from .text_builder import TextBuilder, one_line

__all__ = ["read_spreadsheet"]

_ROW_NUMBER = re.compile(rb"""<(?:\w+:)?row\s[^>]*?\br=["']([^"']*)""")
_MAX_ROWS = 1_048_576
_MAX_ROW_DIGITS = 18
_FORMULA_WITHOUT_VALUE = re.compile(rb"<f(?:\s[^>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")

#: A row with its number and the texts of its cells.
_Row = tuple[int, list[str]]


def read_spreadsheet(content: bytes) -> Extracted:
    """Extract all visible sheets; sheets and rows are places.

    Formulas are their last results; one without a result is written as a formula, with a warning.

    Raises:
        DocumentError: openpyxl is not installed, the file is encrypted or unpacks to too much, or a sheet has more rows
            than Excel allows.
    """
    openpyxl = import_reader("openpyxl", "Excel files")
    lacks_results = _check_parts(Archive(content))
    builder = TextBuilder()
    values = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    formulas = None
    if lacks_results:
        formulas = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
    for sheet in values.worksheets:
        if sheet.sheet_state != "visible":
            builder.warnings.append(f"the sheet {sheet.title} is hidden and is left out")
            continue
        builder.add_place("sheet", sheet.title)
        builder.add_heading(sheet.title, 2)
        rows = _rows(sheet, None if formulas is None else formulas[sheet.title], builder.warnings)
        for is_blank, block in groupby(rows, key=lambda row: not any(row[1])):
            if not is_blank:
                _add_block(builder, list(block))
    return builder.extracted()


def _check_parts(archive: Archive) -> bool:
    """Check the size and the entities of all parts.

    Returns:
        Whether formulas without results are among them.
    """
    lacks_results = False
    for name in archive.names:
        if name.endswith(".xml"):
            part = archive.read(name)
            if b"<!ENTITY" in part:
                raise DocumentError("its XML declares entities", limit="and entities are refused")
            if "/worksheets/" in name:
                _check_rows(name, part)
            lacks_results = lacks_results or ("/worksheets/" in name and bool(_FORMULA_WITHOUT_VALUE.search(part)))
    return lacks_results


def _check_rows(name: str, part: bytes) -> None:
    """Check the numbers of the rows of a sheet: openpyxl yields each row up to the last one."""
    for number in _ROW_NUMBER.findall(part):
        if not number.isdigit() or len(number) > _MAX_ROW_DIGITS or int(number) > _MAX_ROWS:
            raise DocumentError(
                f"its part {name} has a row {number[:20].decode(errors='replace')}",
                limit=f"and rows of Excel are numbered up to {_MAX_ROWS:,}",
            )


def _rows(sheet: Any, formulas: Any, warnings: list[str | ExtractionWarning]) -> Iterator[_Row]:
    """Yield the rows of a sheet, blank ones included."""
    sheet.reset_dimensions()  # some programs write wrong ones
    shown = sheet.iter_rows()
    hidden: Iterable[Any] = repeat(()) if formulas is None else _without_dimensions(formulas).iter_rows()
    missing = []
    for number, (row, behind) in enumerate(zip(shown, hidden, strict=False), start=1):
        texts = [one_line(cell_text(cell.value, cell.number_format)) if cell.value is not None else "" for cell in row]
        for column, cell in enumerate(behind):
            if isinstance(cell.value, str) and cell.value.startswith("=") and not texts[column]:
                texts[column] = cell.value
                missing.append(cell.coordinate)
        while texts and not texts[-1]:
            texts.pop()
        yield number, texts
    if missing:
        others = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        warnings.append(f"sheet {sheet.title}: {missing[0]}{others} have formulas without results")


def _without_dimensions(sheet: Any) -> Any:
    sheet.reset_dimensions()
    return sheet


def _add_block(builder: TextBuilder, rows: list[_Row]) -> None:
    """Add rows without blank ones among them: lines of text, such as a title, then a table."""
    first_column = min(next(column for column, text in enumerate(row) if text) for _, row in rows)
    rows = [(number, row[first_column:]) for number, row in rows]
    width = max(len(row) for _, row in rows)
    num_lines = next((place for place, (_, row) in enumerate(rows) if sum(map(bool, row)) > 1), len(rows))
    lines, table = (rows[:num_lines], rows[num_lines:]) if width > 1 else (rows, [])
    texts = [row for _, row in table]
    named = has_column_names(texts, unsure=len(texts) > 1 and all(texts[0]))
    for place, (number, row) in enumerate(chain(lines, table), start=-len(lines)):
        builder.add_place("row", str(number))
        builder.add_block(
            row_text(texts[0] if named and place > 0 else None, row) if place >= 0 else " ".join(row).strip()
        )

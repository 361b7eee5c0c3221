"""Reads the blocks of an OpenDocument file in their order."""

from typing import TYPE_CHECKING

from ...extracted import Extracted
from ..archives import Archive, local_name
from ..column_names import has_column_names, row_text
from ..text_builder import TextBuilder, one_line
from .names import DRAW, OFFICE, TABLE, TEXT
from .paragraphs import ParagraphReader
from .styles import ListLevel, Styles

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_open_document"]

_MAX_REPEATS = 1000
_LEFT_OUT = {"tracked-changes", "sequence-decls", "forms", "table-of-content-source", "variable-decls", "annotation"}


def read_open_document(content: bytes) -> Extracted:
    """Extract texts with headings, lists and tables; sheets and slides are places.

    Raises:
        DocumentError: it is encrypted or unpacks to too much.
    """
    archive = Archive(content)
    document = archive.xml("content.xml")
    body = None if document is None else document.find(f"{OFFICE}body")
    if document is None or body is None or not len(body):
        raise ValueError("it has no content")
    return _Reader(archive, document).read(body[0])


class _Reader:
    def __init__(self, archive: Archive, document: "_Element") -> None:
        styles = archive.xml("styles.xml")
        self._master = None if styles is None else styles.find(f"{OFFICE}master-styles")
        self._styles = Styles([document] if styles is None else [document, styles])
        self._paragraphs = ParagraphReader(archive, self._styles)
        self._counts: dict[str, dict[int, int]] = {}  # of each list style, by level
        self._outline: dict[int, int] = {}
        self._builder = TextBuilder()

    def read(self, body: "_Element") -> Extracted:
        kind = local_name(body)
        if kind == "spreadsheet":
            for sheet in body.iterfind(f"{TABLE}table"):
                self._add_sheet(sheet)
        elif kind == "presentation":
            for number, slide in enumerate(body.iterfind(f"{DRAW}page"), start=1):
                self._builder.add_place("slide", str(number))
                self._add_blocks(slide)
        else:
            self._add_page_texts("header")
            self._add_blocks(body)
            self._add_page_texts("footer")
        return self._builder.extracted()

    def _add_page_texts(self, kind: str) -> None:
        """Add the headers or footers of all kinds of page, each once."""
        texts: dict[str, None] = {}
        for element in () if self._master is None else self._master.iter(*(f"{{*}}{kind}{end}" for end in _PAGE_KINDS)):
            if element.get("{urn:oasis:names:tc:opendocument:xmlns:style:1.0}display") != "false":
                texts[self._read(element).text] = None
        self._builder.add_blocks(texts)

    def _read(self, container: "_Element") -> Extracted:
        outer, self._builder = self._builder, TextBuilder()
        self._add_blocks(container)
        inner, self._builder = self._builder, outer
        return inner.extracted()

    def _add_blocks(self, container: "_Element") -> None:
        for element in container:
            name = local_name(element)
            if name == "p":
                self._add_paragraph(element)
            elif name == "h":
                self._add_heading(element)
            elif name == "list":
                self._add_list(element, 1, "")
            elif name == "table":
                self._add_table(element)
            elif name == "section" and element.get(f"{TEXT}display") == "none":
                continue
            elif name == "notes":
                self._builder.add_block(f"Notes: {self._read(element).text}".removesuffix("Notes: "))
            elif name not in _LEFT_OUT:
                self._add_blocks(element)

    def _add_paragraph(self, paragraph: "_Element", number: str = "") -> None:
        text = self._paragraphs.text(paragraph)
        self._builder.add_block(f"{number} {text}" if number and text.strip() else text)
        self._add_attached()

    def _add_attached(self) -> None:
        boxes, self._paragraphs.boxes = self._paragraphs.boxes, []
        notes, self._paragraphs.notes = self._paragraphs.notes, []
        for box in boxes:
            self._add_blocks(box)
        for number, body in notes:
            self._builder.add_block(f"{number} {self._read(body).text}")

    def _add_heading(self, heading: "_Element", number: str = "") -> None:
        level = int(heading.get(f"{TEXT}outline-level", "1"))
        text = self._paragraphs.text(heading)
        rule = self._styles.outline.get(level)
        if rule is not None and not number and heading.get(f"{TEXT}is-list-header") != "true" and text.strip():
            number = self._count(self._outline, self._styles.outline, level, heading.get(f"{TEXT}start-value"))
        self._builder.add_heading(f"{number} {text}" if number and text.strip() else text, level)
        self._add_attached()

    def _count(
        self, counts: dict[int, int], levels: dict[int, ListLevel], level: int, start: str | None, *, new: bool = False
    ) -> str:
        rule = levels.get(level, ListLevel(bullet="•"))
        counts[level] = int(start) if start else (rule.start if new or level not in counts else counts[level] + 1)
        for lower in [other for other in counts if other > level]:
            del counts[lower]
        return rule.shown(counts, levels, level)

    def _add_list(self, element: "_Element", level: int, inherited: str) -> None:
        name = element.get(f"{TEXT}style-name") or inherited or self._paragraph_list_style(element)
        levels = self._styles.list_levels(name)
        goes_on = level > 1 or element.get(f"{TEXT}continue-numbering") == "true" or element.get(f"{TEXT}continue-list")
        counts = self._counts.setdefault(name, {})
        if not goes_on:
            counts.clear()
        for item in element:
            is_item = local_name(item) == "list-item"
            number = ""
            for block in item:
                kind = local_name(block)
                if kind == "list":
                    self._add_list(block, level + 1, name)
                    continue
                if is_item and not number and self._has_text(block):
                    number = self._count(counts, levels, level, item.get(f"{TEXT}start-value"))
                    shown = number
                else:
                    shown = ""
                if kind == "h":
                    self._add_heading(block, shown)
                elif kind == "p":
                    self._add_paragraph(block, shown)
                else:
                    self._add_blocks(item)

    def _paragraph_list_style(self, element: "_Element") -> str:
        first = next(element.iter(f"{TEXT}p", f"{TEXT}h"), None)
        return "" if first is None else self._styles.list_style(first.get(f"{TEXT}style-name"))

    @staticmethod
    def _has_text(block: "_Element") -> bool:
        return any(text.strip() for text in block.itertext())

    def _rows(self, table: "_Element") -> "list[tuple[_Element, int]]":
        """The rows with how often each is repeated."""
        found = []
        for part in table:
            name = local_name(part)
            if name == "table-row":
                found.append((part, int(part.get(f"{TABLE}number-rows-repeated", "1"))))
            elif name in {"table-header-rows", "table-rows", "table-row-group"}:
                found.extend(self._rows(part))
        return found

    def _cells(self, row: "_Element") -> list[str]:
        cells: list[str] = []
        for cell in row:
            name = local_name(cell)
            repeats = min(int(cell.get(f"{TABLE}number-columns-repeated", "1")), _MAX_REPEATS)
            if name == "covered-table-cell":
                cells += [""] * repeats
            elif name == "table-cell":
                cells += [one_line(self._read(cell).text)] * repeats
        while cells and not cells[-1]:
            cells.pop()
        return cells

    def _add_table(self, table: "_Element") -> None:
        if table.find(f".//{TABLE}table-cell//{TABLE}table") is not None:  # it arranges text
            for cell in table.iter(f"{TABLE}table-cell"):
                if not any(local_name(above) == "table-cell" for above in _above(cell, table)):
                    self._add_blocks(cell)
            return
        rows = [cells for row, _ in self._rows(table) if (cells := self._cells(row))]
        head = table.find(f"{TABLE}table-header-rows")
        self._builder.add_table(rows, named=True if head is not None and len(rows) > 1 else None)

    def _add_sheet(self, sheet: "_Element") -> None:
        self._builder.add_place("sheet", sheet.get(f"{TABLE}name", ""))
        self._builder.add_heading(sheet.get(f"{TABLE}name", ""), 2)
        rows, number = [], 1
        for row, repeats in self._rows(sheet):
            cells = self._cells(row)
            rows += [(number + offset, cells) for offset in range(min(repeats, _MAX_REPEATS)) if cells]
            number += repeats
        texts = [cells for _, cells in rows]
        named = has_column_names(texts, unsure=len(texts) > 1 and all(texts[0]))
        for place, (row_number, cells) in enumerate(rows):
            self._builder.add_place("row", str(row_number))
            self._builder.add_block(row_text(texts[0] if named and place else None, cells))


def _above(element: "_Element", end: "_Element") -> "list[_Element]":
    found = []
    for above in element.iterancestors():
        if above is end:
            break
        found.append(above)
    return found


_PAGE_KINDS = ("", "-first", "-left")

"""Text of PowerPoint files: what slides show, their tables, diagrams and notes."""

from typing import TYPE_CHECKING

from ..extracted import Extracted
from .archives import Archive, local_name
from .numerals import numeral
from .text_builder import TextBuilder

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_presentation"]

_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_NUMERALS = {
    "alphaLc": "lower-letter",
    "alphaUc": "upper-letter",
    "romanLc": "lower-roman",
    "romanUc": "upper-roman",
}
_TITLES = {"title", "ctrTitle"}
_LEFT_OUT_OF_NOTES = {"sldNum", "sldImg", "hdr", "ftr", "dt"}


def read_presentation(content: bytes) -> Extracted:
    """Extract the slides in their order; each is a place, and its title a heading.

    Raises:
        DocumentError: it is encrypted or unpacks to too much.
    """
    archive = Archive(content)
    main = archive.main_part("ppt/presentation.xml")
    relations = archive.relationships(main)
    root = archive.xml(main)
    slides = [] if root is None else [relations[slide.get(f"{_RELATION}id")][1] for slide in root.iter("{*}sldId")]
    builder = TextBuilder()
    for number, slide in enumerate(slides, start=1):
        builder.add_place("slide", str(number))
        _SlideReader(archive, slide, builder).read()
    return builder.extracted()


class _SlideReader:
    """Adds the text of one slide.

    Args:
        archive: the file.
        part: of the slide.
        builder: takes the text.
    """

    def __init__(self, archive: Archive, part: str, builder: TextBuilder) -> None:
        self._archive = archive
        self._part = part
        self._builder = builder
        self._relations = archive.relationships(part)

    def read(self) -> None:
        root = self._archive.xml(self._part)
        for tree in () if root is None else root.iter("{*}spTree"):
            self._add_shapes(tree)
        for kind, target in self._relations.values():
            if kind == "notesSlide":
                self._add_notes(target)

    def _add_shapes(self, group: "_Element") -> None:
        for shape in group:
            name = local_name(shape)
            if name == "sp":
                self._add_shape(shape)
            elif name == "graphicFrame":
                self._add_frame(shape)
            elif name == "grpSp":
                self._add_shapes(shape)
            elif name == "AlternateContent" and len(shape):
                self._add_shapes(shape[0])

    def _add_shape(self, shape: "_Element") -> None:
        body = shape.find("{*}txBody")
        if body is None:
            return
        if _placeholder(shape) in _TITLES:
            self._builder.add_heading("\n".join(_paragraphs(body)), 1)
        else:
            self._builder.add_blocks(_paragraphs(body))

    def _add_frame(self, frame: "_Element") -> None:
        for table in frame.iter("{*}tbl"):
            rows = [[_cell(cell) for cell in row.iterfind("{*}tc")] for row in table.iterfind("{*}tr")]
            properties = table.find("{*}tblPr")
            first_row = "0" if properties is None else properties.get("firstRow", "0")
            self._builder.add_table(rows, named=True if first_row in {"1", "true"} and len(rows) > 1 else None)
        for element in frame.iter("{*}relIds", "{*}chart"):
            name = next((target for key, target in element.attrib.items() if str(key).endswith(("}dm", "}id"))), "")
            root = self._archive.xml(self._relations.get(name, ("", ""))[1])
            if root is not None:
                self._add_graphic(root)

    def _add_graphic(self, root: "_Element") -> None:
        """Add the texts of a diagram, or the titles and values of a chart."""
        self._builder.add_blocks("".join(paragraph.itertext("{*}t")) for paragraph in root.iter("{*}p"))
        for series in root.iter("{*}ser"):
            name, categories, values = (
                [
                    point.findtext("{*}v") or ""
                    for part in series.iterfind(f"{{*}}{kind}")
                    for point in part.iter("{*}pt")
                ]
                for kind in ("tx", "cat", "val")
            )
            pairs = "; ".join(f"{category}: {value}" for category, value in zip(categories, values, strict=False))
            self._builder.add_block(f"{' '.join(name)}: {pairs or '; '.join(values)}")

    def _add_notes(self, part: str) -> None:
        root = self._archive.xml(part)
        shapes = [] if root is None else list(root.iter("{*}sp"))
        bodies = (shape.find("{*}txBody") for shape in shapes if _placeholder(shape) not in _LEFT_OUT_OF_NOTES)
        lines = [line for body in bodies if body is not None for line in _paragraphs(body) if line.strip()]
        if lines:
            self._builder.add_block(f"Notes: {lines[0]}")
            self._builder.add_blocks(lines[1:])


def _placeholder(shape: "_Element") -> str:
    found = shape.find("{*}nvSpPr/{*}nvPr/{*}ph")
    return "" if found is None else found.get("type", "body")


def _cell(cell: "_Element") -> str:
    body = cell.find("{*}txBody")
    continues = cell.get("hMerge") in {"1", "true"} or cell.get("vMerge") in {"1", "true"}
    return "" if body is None or continues else "\n".join(_paragraphs(body))


def _paragraphs(body: "_Element") -> list[str]:
    """The paragraphs of a text body, with the numbers of numbered ones."""
    texts: list[str] = []
    counts: dict[int, int] = {}
    for paragraph in body.iterfind("{*}p"):
        properties = paragraph.find("{*}pPr")
        text = _paragraph_text(paragraph)
        level = 0 if properties is None else int(properties.get("lvl", "0"))
        numbered = None if properties is None else properties.find("{*}buAutoNum")
        counts = {
            other: count
            for other, count in counts.items()
            if other < level or (other == level and numbered is not None)
        }
        if numbered is not None and text.strip():
            counts[level] = counts.get(level, int(numbered.get("startAt", "1")) - 1) + 1
            text = f"{_number(counts[level], numbered.get('type', ''))} {text}"
        texts.append(text)
    return texts


def _number(number: int, kind: str) -> str:
    style = next((style for start, style in _NUMERALS.items() if kind.startswith(start)), "")
    text = numeral(number, style)
    if kind.endswith("ParenBoth"):
        return f"({text})"
    return text + (")" if kind.endswith("ParenR") else "." if kind.endswith("Period") else "")


def _paragraph_text(paragraph: "_Element") -> str:
    parts = []
    for element in paragraph.iter("{*}t", "{*}br", "{*}tab"):
        name = local_name(element)
        if name == "t":
            parts.append(element.text or "")
        elif name == "br":
            parts.append("\n")
    return "".join(parts)

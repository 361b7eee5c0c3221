"""Reads the blocks of a Word file in their order."""

from typing import TYPE_CHECKING

from ...extracted import Extracted
from ..archives import Archive, local_name
from ..html import read_html
from ..text_builder import TextBuilder
from .comments import Comments
from .names import RELATION, W, child, is_on
from .numbering import Numbering
from .paragraphs import ParagraphReader, transparent_content
from .styles import Styles
from .tables import add_table

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_word"]

_SEPARATORS = {"separator", "continuationSeparator", "continuationNotice"}


def read_word(content: bytes) -> Extracted:
    """Extract headers, body and footers as Word shows them.

    Insertions are accepted, deletions and hidden text are gone; clauses have their numbers; notes follow the paragraph
    that refers to them, and comments stand at the end of the paragraph in which they end. Headings and, where Word has
    stored them, pages are places.

    Raises:
        DocumentError: it is encrypted or unpacks to too much.
    """
    archive = Archive(content)
    main = archive.main_part("word/document.xml")
    document = archive.xml(main)
    if document is None or child(document, "body") is None:
        raise ValueError("it has no Word document")
    return _WordReader(archive, main, document).read()


class _WordReader:
    """Reads the parts of one file."""

    def __init__(self, archive: Archive, main: str, document: "_Element") -> None:
        self._archive = archive
        self._document = document
        self._relations = archive.relationships(main)
        self._styles = Styles(self._part("styles"))
        self._numbering = Numbering(self._part("numbering"))
        self._paragraphs = ParagraphReader(self._styles)
        self._notes = {
            kind: {note.get(f"{W}id", ""): note for note in root if _type_of(note) not in _SEPARATORS}
            for kind in ("footnote", "endnote")
            if (root := self._part(f"{kind}s")) is not None
        }
        self._comments = Comments(document, self._part("comments"), self._part("commentsExtended"), self._styles)
        self._page = 1
        self._counts_rendered = False  # whether Word has stored where pages begin
        self._carried = ""  # text of a paragraph whose end was deleted

    def read(self) -> Extracted:
        document, builder = self._document, TextBuilder()
        headers, footers = self._headers_and_footers(document)
        builder.add_blocks(headers)
        self._counts_rendered = document.find(f".//{W}lastRenderedPageBreak") is not None
        if self._counts_rendered or document.find(f".//{W}br[@{W}type='page']") is not None:
            builder.add_place("page", "1")
        body = child(document, "body")
        assert body is not None
        self._add_blocks(builder, body)
        builder.add_block(self._carried)
        builder.add_blocks(footers)
        return builder.extracted()

    def _part(self, kind: str) -> "_Element | None":
        for its_kind, target in self._relations.values():
            if its_kind == kind:
                return self._archive.xml(target)
        return None

    def _headers_and_footers(self, document: "_Element") -> tuple[list[str], list[str]]:
        """The texts of all headers and footers that are shown, each once."""
        settings = self._part("settings")
        even = settings is not None and bool(is_on(settings, "evenAndOddHeaders"))
        found: dict[str, dict[str, None]] = {"header": {}, "footer": {}}
        for section in document.iter(f"{W}sectPr"):
            shown = {"default", "first" if is_on(section, "titlePg") else "", "even" if even else ""}
            for kind, texts in found.items():
                for reference in section.iterfind(f"{W}{kind}Reference"):
                    part = self._relations.get(reference.get(f"{RELATION}id", ""), ("", ""))[1]
                    root = self._archive.xml(part)
                    if root is not None and reference.get(f"{W}type", "default") in shown:
                        texts[self._text_of(root)] = None
        return list(found["header"]), list(found["footer"])

    def _text_of(self, container: "_Element") -> str:
        return self._read_blocks(container).text

    def _read_blocks(self, container: "_Element") -> Extracted:
        carried, self._carried = self._carried, ""
        builder = TextBuilder()
        self._add_blocks(builder, container)
        builder.add_block(self._carried)
        self._carried = carried
        return builder.extracted()

    def _add_blocks(self, builder: TextBuilder, container: "_Element") -> None:
        for element in container:
            name = local_name(element)
            if name == "p":
                self._add_paragraph(builder, element)
            elif name == "tbl":
                notes, self._paragraphs.notes = self._paragraphs.notes, []
                add_table(builder, element, self._styles, self._read_blocks)
                self._paragraphs.notes = notes + self._paragraphs.notes
            elif name == "altChunk":
                self._add_embedded(builder, element)
            elif (content := transparent_content(element)) is not None:
                self._add_blocks(builder, content)

    def _add_paragraph(self, builder: TextBuilder, paragraph: "_Element") -> None:
        text = self._paragraphs.text(paragraph)
        breaks, hides_text = self._paragraphs.breaks, self._paragraphs.hides_text
        properties = child(paragraph, "pPr")
        if child(properties, "rPr", "del") is not None or child(properties, "rPr", "moveFrom") is not None:
            self._carried += text
        else:
            number = "" if hides_text and not text.strip() else self._number(properties)
            text, self._carried = self._carried + text, ""
            self._add_pages(builder, breaks, len(text) - len(text.lstrip()))
            level = self._styles.heading_level(properties)
            numbered = f"{number} {text}" if number and text.strip() else text or number
            comments = self._comments.take(self._take_comments())
            if level is None:
                builder.add_block(" ".join([numbered.rstrip(), *comments]).lstrip(" ") if comments else numbered)
            else:
                builder.add_heading(numbered, level)
                builder.add_blocks(comments)
        self._add_attached(builder)

    def _take_comments(self) -> list[str]:
        references, self._paragraphs.comments = self._paragraphs.comments, []
        return references

    def _number(self, properties: "_Element | None") -> str:
        found = self._styles.numbering(properties)
        return self._numbering.next_number(*found) if found else ""

    def _add_pages(self, builder: TextBuilder, breaks: list[tuple[int, bool]], indent: int) -> None:
        for position, rendered in breaks:
            if rendered == self._counts_rendered:
                self._page += 1
                builder.add_place("page", str(self._page), max(0, position - indent))

    def _add_attached(self, builder: TextBuilder) -> None:
        """Add the text boxes, diagrams and notes of the last paragraph."""
        reader = self._paragraphs
        boxes, reader.boxes = reader.boxes, []
        drawings, reader.drawings = reader.drawings, []
        notes, reader.notes = reader.notes, []
        for box in boxes:
            self._add_blocks(builder, box)
        for drawing in drawings:
            root = self._archive.xml(self._relations.get(drawing, ("", ""))[1])
            for paragraph in () if root is None else root.iter("{*}p"):
                builder.add_block("".join(paragraph.itertext("{*}t")))
        for kind, name, number in notes:
            note = self._notes.get(kind, {}).get(name)
            if note is not None:
                builder.add_block(f"{number} {self._text_of(note).strip()}".strip())

    def _add_embedded(self, builder: TextBuilder, element: "_Element") -> None:
        """Add a document that is embedded as a whole, as some programs write them."""
        part = self._relations.get(element.get(f"{RELATION}id", ""), ("", ""))[1]
        if part not in self._archive.names:
            return
        content = self._archive.read(part)
        builder.add_extracted(read_word(content) if content.startswith(b"PK") else read_html(content))


def _type_of(note: "_Element") -> str:
    """The type of a note; empty for one of the author."""
    return note.get(f"{W}type", "")

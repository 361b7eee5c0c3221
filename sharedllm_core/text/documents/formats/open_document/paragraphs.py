"""The text of a paragraph of an OpenDocument file."""

from typing import TYPE_CHECKING

from ..archives import Archive, local_name
from ..html import read_html
from ..numerals import superscript
from .names import TEXT
from .styles import Styles

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["ParagraphReader"]

_LEFT_OUT = {
    "annotation",
    "annotation-end",
    "bookmark",
    "desc",
    "title",
    "event-listeners",
    "hidden-paragraph",
    "hidden-text",
    "tracked-changes",
    "image",
    "ruby-text",
}
_CHARACTERS = {"tab": "\t", "line-break": "\n"}
_ATTACHED = {"custom-shape", "note", "object", "text-box"}
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_MAX_SPACES = 1000


class ParagraphReader:
    """Reads paragraphs in their order.

    Attributes:
        notes: that were referred to since they were last taken, with their numbers.
        boxes: text boxes since they were last taken.
    """

    def __init__(self, archive: Archive, styles: Styles) -> None:
        self.notes: list[tuple[str, _Element]] = []
        self.boxes: list[_Element] = []
        self._archive = archive
        self._styles = styles

    def text(self, paragraph: "_Element") -> str:
        """The text of a paragraph; empty if it is hidden."""
        if self._styles.is_hidden("paragraph", paragraph.get(f"{TEXT}style-name")):
            return ""
        return self._content(paragraph)

    def _content(self, element: "_Element") -> str:
        parts = [_collapsed(element.text)]
        for child in element:
            parts.append(self._inline(child, "".join(parts)[-1:]))
            parts.append(_collapsed(child.tail))
        return "".join(parts)

    def _inline(self, element: "_Element", before: str) -> str:
        name = local_name(element)
        if name == "s":
            return " " * min(int(element.get(f"{TEXT}c", "1")), _MAX_SPACES)
        if name in _CHARACTERS:
            return _CHARACTERS[name]
        if name in _ATTACHED:
            return self._attached(element, name)
        if name in _LEFT_OUT:
            return ""
        return self._span(element, before) if name == "span" else self._content(element)

    def _span(self, element: "_Element", before: str) -> str:
        style = element.get(f"{TEXT}style-name")
        if self._styles.is_hidden("text", style):
            return ""
        text = self._content(element)
        return superscript(text, after=before) if self._styles.is_raised(style) else text

    def _attached(self, element: "_Element", name: str) -> str:
        """Keep a note or a text box for later, and write an equation."""
        if name == "object":
            return self._equation(element.get(_XLINK_HREF, ""))
        if name == "note":
            number = f"[{element.findtext(f'{TEXT}note-citation') or ''}]"
            body = element.find(f"{TEXT}note-body")
            if body is not None:
                self.notes.append((number, body))
            return number
        self.boxes.append(element)
        return ""

    def _equation(self, target: str) -> str:
        part = f"{target.removeprefix('./')}/content.xml"
        if part not in self._archive.names:
            return ""
        content = self._archive.read(part)
        return read_html(content).text if b"<math" in content else ""


def _collapsed(text: str | None) -> str:
    """White space of the file is one space; more of it is written by elements."""
    if not text:
        return ""
    inner = " ".join(text.split())
    if not inner:
        return " "
    return f"{' ' if text[0].isspace() else ''}{inner}{' ' if text[-1].isspace() else ''}"

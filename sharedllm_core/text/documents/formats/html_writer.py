"""Writes the text of an HTML page while its nodes are walked."""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..extracted import Extracted
from .html_forms import control_text
from .html_tables import OpenTable
from .numerals import numeral, superscript
from .text_builder import TextBuilder

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["HtmlWriter"]

_BLOCKS = {
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "button",
    "caption",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "legend",
    "li",
    "main",
    "nav",
    "ol",
    "optgroup",
    "option",
    "p",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
}
_SHOWN_NOWHERE = {
    "script",
    "style",
    "noscript",
    "template",
    "head",
    "title",
    "iframe",
    "audio",
    "video",
    "canvas",
    "datalist",
    "rp",
    "annotation",
    "annotation-xml",
    "meter",
    "progress",
    "object",
    "desc",
    "-comment",
}
_HIDDEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))", re.IGNORECASE)
_PRE_STYLE = re.compile(r"(?:^|;)\s*white-space\s*:\s*(?:pre|pre-wrap|break-spaces)\s*(?:;|!|$)", re.IGNORECASE)
_HEADING = re.compile(r"h[1-6]")
_INVISIBLE = re.compile("[\u00ad\u200b\ufeff]")
_NUMERALS = {"a": "lower-letter", "A": "upper-letter", "i": "lower-roman", "I": "upper-roman"}
_SCRIPTS = {"msup": "^", "msub": "_", "mfrac": "/"}
_MARKS = {"del": ("~~", "~~"), "s": ("~~", "~~"), "strike": ("~~", "~~"), "q": ("“", "”"), "rt": ("(", ")")}
_TARGET = re.compile(r"(?:https?|ftp|mailto|tel):|(?![a-z][\w+.-]*:)[^#]+$", re.IGNORECASE)


@dataclass
class _OpenList:
    ordered: bool
    number: int
    step: int
    style: str


class HtmlWriter:
    """Collects what is shown; `enter` and `leave` follow the walk over the page.

    Args:
        layout_tables: the tables that only arrange the page, by their `mem_id`; their cells are blocks of the page.
    """

    def __init__(self, layout_tables: AbstractSet[int]) -> None:
        self._layout_tables = layout_tables
        self._builder = TextBuilder()
        self._inline: list[str] = []  # of the block that is open
        self._starts: list[int] = []  # of the inline elements that are rewritten when they are left
        self._cell: list[str] | None = None  # blocks of the table cell that is open
        self._tables: list[OpenTable | None] = []  # None for one that only arranges the page
        self._lists: list[_OpenList] = []
        self._item = ""  # number or bullet for the next block
        self._pre_depth = 0

    def extracted(self) -> Extracted:
        """The text of all that was walked."""
        self._end_block()
        return self._builder.extracted()

    def enter(self, node: "LexborNode") -> bool:
        """Begin a node.

        Returns:
            Whether to walk its children and leave it; otherwise it is done.
        """
        tag = node.tag
        if tag == "-text":
            self._add_text(node.text_content or "")
            return False
        if tag is None or tag in _SHOWN_NOWHERE or _is_hidden(node):
            return False
        if tag == "br":
            self._inline.append("\n") if self._pre_depth else self._break_line()
            return False
        control = control_text(node)
        if control is not None:
            self._inline.append(control)
            return False
        if tag in _BLOCKS:
            self._end_block()
            self._enter_block(node, tag)
        elif tag in {"sup", "a"} or tag in _MARKS:
            self._starts.append(len(self._inline))
        elif tag in {"svg", "math"}:
            self._inline.append(" ")
        if tag[0] == "m":
            self._add_operator(node)
        if _is_preformatted(node, tag):
            self._end_block()
            self._pre_depth += 1
        return True

    def leave(self, node: "LexborNode") -> None:
        """End a node that was entered."""
        tag = node.tag or ""
        if tag in _BLOCKS:
            self._leave_block(node, tag)
        elif tag in {"sup", "a"} or tag in _MARKS:
            self._rewrite(node, tag)
        elif tag in {"svg", "math"}:
            self._inline.append(" ")
        if _is_preformatted(node, tag):
            self._end_block()
            self._pre_depth -= 1

    def _enter_block(self, node: "LexborNode", tag: str) -> None:
        if tag == "table":
            data = node.mem_id not in self._layout_tables and self._cell is None
            self._tables.append(OpenTable() if data else None)
        elif tag == "tr" and self._table:
            self._table.begin_row()
        elif tag in {"td", "th"} and self._table:
            self._cell = []
        elif tag in {"ol", "ul"}:
            self._lists.append(_open_list(node, tag))
        elif tag == "li":
            self._begin_item(node)

    def _leave_block(self, node: "LexborNode", tag: str) -> None:
        if _HEADING.fullmatch(tag) and self._cell is None:
            title, self._inline = "".join(self._inline), []
            if title.strip():
                item, self._item = self._item.strip(), ""
                self._builder.add_heading(f"{item} {title}" if item else title, int(tag[1]))
            return
        self._end_block()
        if tag in {"td", "th"} and self._table and self._cell is not None:
            text, self._cell = "\n".join(self._cell), None
            self._table.add_cell(text, _span(node, "colspan"), _span(node, "rowspan"), header=tag == "th")
        elif tag == "table":
            table = self._tables.pop()
            if table:
                table.add_to(self._builder)
        elif tag in {"ol", "ul"} and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._item = ""

    @property
    def _table(self) -> OpenTable | None:
        return self._tables[-1] if self._tables else None

    def _begin_item(self, node: "LexborNode") -> None:
        if not self._lists:
            self._item = "- "
            return
        here = self._lists[-1]
        indent = "  " * (len(self._lists) - 1)
        if here.ordered:
            here.number = _number(node.attributes.get("value"), here.number)
            self._item = f"{indent}{numeral(here.number, here.style)}. "
            here.number += here.step
        else:
            self._item = f"{indent}- "

    def _add_text(self, text: str) -> None:
        text = _INVISIBLE.sub("", text)
        self._inline.append(text if self._pre_depth else re.sub(r"\s+", " ", text))

    def _add_operator(self, node: "LexborNode") -> None:
        """Set a script or a denominator of a formula apart from what it belongs to."""
        parent = node.parent
        operator = _SCRIPTS.get(parent.tag or "") if parent is not None else None
        if operator and any(text.strip() for text in self._inline[-1:]):
            before = node.prev
            while before is not None and before.tag == "-text":
                before = before.prev
            if before is not None:
                self._inline.append(operator)

    def _rewrite(self, node: "LexborNode", tag: str) -> None:
        start = min(self._starts.pop(), len(self._inline))
        text = "".join(self._inline[start:])
        del self._inline[start:]
        if tag == "sup":
            before = next((part for part in reversed(self._inline[-8:]) if part), "")
            text = superscript(text, after=before)
        elif tag == "a":
            text += _shown_target(node.attributes.get("href") or "", text)
        elif text.strip():
            opening, closing = _MARKS[tag]
            text = f"{opening}{text}{closing}"
        self._inline.append(text)

    def _break_line(self) -> None:
        """End the line; the inline elements that are open go on in the next."""
        if self._starts:
            self._inline.append("\n")
        else:
            self._end_block()

    def _end_block(self) -> None:
        if not self._inline:
            return
        text = "".join(self._inline)
        self._inline = []
        if not self._pre_depth:
            text = "\n".join(line for part in text.split("\n") if (line := re.sub(r"\s+", " ", part).strip()))
        if text.strip():
            if self._cell is not None:
                self._cell.append(self._item.strip() + " " * bool(self._item) + text)
            else:
                self._builder.add_block(self._item + text)
            self._item = ""


def _is_hidden(node: "LexborNode") -> bool:
    attributes = node.attributes
    if not attributes:
        return False
    if "hidden" in attributes or (node.tag == "dialog" and "open" not in attributes):
        return True
    return bool(_HIDDEN_STYLE.search(attributes.get("style") or ""))


def _is_preformatted(node: "LexborNode", tag: str) -> bool:
    return tag in {"pre", "textarea"} or bool(_PRE_STYLE.search(node.attributes.get("style") or ""))


def _open_list(node: "LexborNode", tag: str) -> _OpenList:
    attributes = node.attributes
    backwards = "reversed" in attributes
    first = sum(child.tag == "li" for child in node.iter()) if backwards else 1
    style = _NUMERALS.get(attributes.get("type") or "", "")
    return _OpenList(tag == "ol", _number(attributes.get("start"), first), -1 if backwards else 1, style)


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and re.fullmatch(r"\s*-?\d{1,9}\s*", text) else otherwise


def _span(node: "LexborNode", name: str) -> int:
    return _number(node.attributes.get(name), 1)


def _shown_target(target: str, text: str) -> str:
    """The target of a link, unless its text says it or it leads to the same page or to a part of another."""
    target = target.strip()
    if not target or not text.strip() or not _TARGET.match(target):
        return ""
    return "" if target.split(":", 1)[-1].strip("/") in text else f" ({target})"

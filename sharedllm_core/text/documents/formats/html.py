"""Text of HTML pages: what a browser shows, with headings, lists and tables as Markdown-like text.

One walk over the page, in time linear in its size.
"""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ....errors import DocumentError
from ..extracted import Extracted
from .html_writer import HtmlWriter
from .markup_encoding import decode_markup

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["read_html", "read_html_text"]

_MAX_DEPTH = 4000  # parsing takes time quadratic in the depth
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)", re.IGNORECASE)
_SELF_CLOSED = re.compile(r"<([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
#: The ends of these are implied by what follows; they do not nest, or their content is no markup.
_CLOSED_BY_OTHERS = {
    "a",
    "body",
    "colgroup",
    "dd",
    "dt",
    "head",
    "html",
    "li",
    "optgroup",
    "option",
    "p",
    "script",
    "style",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
}
#: A table that holds these arranges the page.
_LAYOUT = "table table, " + ", ".join(f"table {tag}" for tag in ["h1", "h2", "h3", "h4", "h5", "h6", "pre"])


def read_html(content: bytes) -> Extracted:
    """Extract what a browser shows; headings are places.

    Raises:
        DocumentError: its encoding is not known, or its elements are nested too deeply.
    """
    decoded = decode_markup(content)
    page = read_html_text(decoded.text)
    return replace(page, warnings=(*decoded.warnings, *page.warnings))


def read_html_text(page: str) -> Extracted:
    """Extract what a browser shows of a decoded page."""
    from selectolax.lexbor import LexborHTMLParser

    if "xmlns=" in page[:4096] or page.startswith("<?xml"):
        page = _html_of(page)
    _check_depth(page)
    tree = LexborHTMLParser(page)
    root = tree.body or tree.root
    if root is None:
        return Extracted("")
    writer = HtmlWriter(_layout_tables(root))
    _walk(root, writer)
    return writer.extracted()


def _html_of(page: str) -> str:
    """Rewrite XHTML where HTML reads it otherwise: `<title/>` has an end, and CDATA is text."""

    def escape(found: re.Match[str]) -> str:
        return found[1].replace("&", "&amp;").replace("<", "&lt;")

    def close(found: re.Match[str]) -> str:
        return found[0] if found[1].lower() in _VOID else f"<{found[1]}{found[2]}></{found[1]}>"

    return _SELF_CLOSED.sub(close, _CDATA.sub(escape, page))


def _check_depth(page: str) -> None:
    depth = 0
    for found in _TAG.finditer(page):
        tag = found[2].lower()
        if tag in _VOID or tag in _CLOSED_BY_OTHERS:
            continue
        depth = max(0, depth - 1) if found[1] else depth + 1
        if depth > _MAX_DEPTH:
            raise DocumentError(f"its elements are nested more than {_MAX_DEPTH:,} deep")


def _walk(root: "LexborNode", writer: HtmlWriter) -> None:
    path: list[LexborNode] = []
    node: LexborNode | None = root
    while True:
        if node is None:
            left = path.pop()
            writer.leave(left)
            if not path:
                return
            node = left.next
        elif writer.enter(node):
            path.append(node)
            node = node.child
        else:
            node = node.next if path else None
            if not path:
                return


def _layout_tables(root: "LexborNode") -> set[int]:
    """The tables that only arrange the page, by their `mem_id`."""
    layout = {table.mem_id for table in root.css("table[role=presentation]")}
    for node in root.css(_LAYOUT):
        table = node.parent
        while table is not None and table.tag != "table":
            table = table.parent
        if table is not None:
            layout.add(table.mem_id)
    return layout

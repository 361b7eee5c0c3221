"""Styles of a Word file: headings, hidden text, and the numbering that comes with a style."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .names import W, child, is_on, value

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Styles"]

_HEADING = re.compile(r"heading ?([1-9])", re.IGNORECASE)
_MAX_ANCESTORS = 20
_NUM_OUTLINE_LEVELS = 9


class Styles:
    """Looks up properties of paragraphs and runs, also where a style defines them.

    Args:
        root: of the styles part; `None` if the file has none.
    """

    def __init__(self, root: "_Element | None") -> None:
        self._styles: dict[str, _Element] = {}
        self._hidden: dict[str | None, bool | None] = {}  # by style, as far as looked up
        self._raised: dict[str | None, bool] = {}
        self._default = ""
        self._hidden_by_default = False
        if root is None:
            return
        for style in root.iterfind(f"{W}style"):
            name = style.get(f"{W}styleId", "")
            self._styles[name] = style
            if style.get(f"{W}type") == "paragraph" and style.get(f"{W}default") in {"1", "true"}:
                self._default = name
        self._hidden_by_default = bool(is_on(child(root, "docDefaults", "rPrDefault", "rPr"), "vanish"))

    def heading_level(self, properties: "_Element | None") -> int | None:
        """The level of a heading, from 1; `None` for other paragraphs."""
        direct = value(properties, "outlineLvl")
        if direct is not None:
            return _level(direct)
        for style in self._paragraph_styles(properties):
            level = value(style, "pPr", "outlineLvl")
            if level is not None:
                return _level(level)
            name = value(style, "name") or ""
            if name.lower() == "title":
                return 1
            if found := _HEADING.fullmatch(name):
                return int(found[1])
        return None

    def numbering(self, properties: "_Element | None") -> tuple[str, int | None, str] | None:
        """The list of a numbered paragraph: its id, the level if known, and the style that names the list.

        `None` if the paragraph has no number.
        """
        direct = child(properties, "numPr")
        level = value(direct, "ilvl")
        number = value(direct, "numId")
        if number is not None:
            return None if number == "0" else (number, int(level or 0), "")
        for style in self._paragraph_styles(properties):
            number = value(style, "pPr", "numPr", "numId")
            if number is not None:
                level = level or value(style, "pPr", "numPr", "ilvl")
                return None if number == "0" else (number, int(level) if level else None, style.get(f"{W}styleId", ""))
        return None

    def is_hidden(self, run: "_Element | None", paragraph: "_Element | None") -> bool:
        """Whether the text of a run is hidden.

        Args:
            run: properties of the run.
            paragraph: properties of its paragraph.
        """
        hidden = is_on(run, "vanish")
        if hidden is None and run is not None:
            hidden = self._hides(value(run, "rStyle"))
        if hidden is None:
            hidden = self._hides(value(paragraph, "pStyle") or self._default)
        return self._hidden_by_default if hidden is None else hidden

    def is_raised(self, run: "_Element | None") -> bool:
        """Whether a run is a superscript."""
        if run is None:
            return False
        direct = value(run, "vertAlign")
        if direct is not None:
            return direct == "superscript"
        name = value(run, "rStyle")
        if name not in self._raised:
            found = (value(style, "rPr", "vertAlign") for style in self._ancestors(name))
            self._raised[name] = next((position for position in found if position), "") == "superscript"
        return self._raised[name]

    def marks_first_row(self, table: "_Element") -> bool:
        """Whether the style of a table marks its first row, which then holds the column names."""
        look = child(table, "tblPr", "tblLook")
        if look is None:
            return False
        first_row = look.get(f"{W}firstRow")
        marked = first_row in {"1", "true"} if first_row else bool(int(look.get(f"{W}val", "0"), 16) & 0x20)
        styles = self._ancestors(value(table, "tblPr", "tblStyle"))
        return marked and any(
            part.get(f"{W}type") == "firstRow" for style in styles for part in style.iterfind(f"{W}tblStylePr")
        )

    def _paragraph_styles(self, properties: "_Element | None") -> "Iterator[_Element]":
        return self._ancestors(value(properties, "pStyle") or self._default)

    def _ancestors(self, name: str | None) -> "Iterator[_Element]":
        """Yield a style and those that it is based on."""
        for _ in range(_MAX_ANCESTORS):
            style = self._styles.get(name or "")
            if style is None:
                return
            yield style
            name = value(style, "basedOn")

    def _hides(self, name: str | None) -> bool | None:
        if name not in self._hidden:
            found = (is_on(style, "rPr", "vanish") for style in self._ancestors(name))
            self._hidden[name] = next((hidden for hidden in found if hidden is not None), None)
        return self._hidden[name]


def _level(outline: str) -> int | None:
    level = int(outline)
    return level + 1 if level < _NUM_OUTLINE_LEVELS else None

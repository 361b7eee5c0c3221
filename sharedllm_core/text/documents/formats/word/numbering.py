"""Automatic numbers of clauses, headings and lists, which a Word file stores as rules instead of text."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..numerals import numeral
from .names import W, child, is_on, value

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Numbering"]

_NUM_LEVELS = 9
_PLACEHOLDER = re.compile(r"%([1-9])")
_STYLES = {
    "upperRoman": "upper-roman",
    "lowerRoman": "lower-roman",
    "upperLetter": "upper-letter-repeated",
    "lowerLetter": "lower-letter-repeated",
    "decimalZero": "two-digits",
    "ordinal": "ordinal",
    "cardinalText": "cardinal-word",
    "ordinalText": "ordinal-word",
}
_SYMBOL_FONTS = ("Symbol", "Wingdings", "Webdings", "OpenSymbol")
_MAX_LINKS = 5


@dataclass
class _Level:
    """How one level of a list is numbered."""

    start: int = 1
    style: str = "decimal"
    text: str = ""
    restart: int | None = None  # the level, from 1, whose numbers restart this one; None for every higher level
    legal: bool = False  # numbers of higher levels are written in digits


@dataclass
class _List:
    """A list of nine levels, with the count of each; lists with the same rules share it."""

    levels: dict[int, _Level]
    by_style: dict[str, int]
    counts: dict[int, int] = field(default_factory=dict)


class Numbering:
    """Counts the numbered paragraphs of a document in their order.

    Args:
        root: of the numbering part; `None` if the file has none.
    """

    def __init__(self, root: "_Element | None") -> None:
        self._lists: dict[str, _List] = {}
        self._nums: dict[str, tuple[_List, dict[int, _Level], dict[int, int]]] = {}
        self._used: set[tuple[str, int]] = set()
        if root is None:
            return
        abstract = {element.get(f"{W}abstractNumId", ""): element for element in root.iterfind(f"{W}abstractNum")}
        for name, element in abstract.items():
            self._lists[name] = _read_list(_linked(element, list(abstract.values())))
        for num in root.iterfind(f"{W}num"):
            rules = self._lists.get(value(num, "abstractNumId") or "")
            if rules is not None:
                self._nums[num.get(f"{W}numId", "")] = (rules, *_overrides(num))

    def next_number(self, num_id: str, level: int | None, style: str) -> str:
        """Count a paragraph.

        Args:
            num_id: of its list.
            level: from 0; `None` if the style tells it.
            style: of the paragraph, where the style names the list.

        Returns:
            The number or bullet as Word shows it; empty if it shows none.
        """
        found = self._nums.get(num_id)
        if found is None:
            return ""
        rules, own_levels, starts = found
        if style in rules.by_style and level is None:
            level = rules.by_style[style]
        level = min(level or 0, _NUM_LEVELS - 1)
        levels = {**rules.levels, **own_levels}
        self._count(num_id, level, rules, levels, starts)
        return _shown(level, levels, rules.counts)

    def _count(self, num_id: str, level: int, rules: _List, levels: dict[int, _Level], starts: dict[int, int]) -> None:
        counts = rules.counts
        first_use = (num_id, level) not in self._used
        self._used.add((num_id, level))
        if first_use and level in starts:
            counts[level] = starts[level]
        elif level in counts:
            counts[level] += 1
        else:
            counts[level] = starts.get(level, levels.get(level, _Level()).start)
        for lower in range(level + 1, _NUM_LEVELS):
            restart = levels.get(lower, _Level()).restart
            if restart is None or (restart and level < restart):
                counts.pop(lower, None)


def _shown(level: int, levels: dict[int, _Level], counts: dict[int, int]) -> str:
    rule = levels.get(level, _Level(text=f"%{level + 1}."))
    if rule.style == "bullet":
        return rule.text
    if rule.style == "none" and not rule.text:
        return ""

    def number(found: re.Match[str]) -> str:
        other = int(found[1]) - 1
        its_rule = levels.get(other, _Level())
        count = counts.get(other, its_rule.start)
        if its_rule.style == "none":
            return ""
        return str(count) if rule.legal else numeral(count, its_rule.style)

    return _PLACEHOLDER.sub(number, rule.text).strip()


def _linked(element: "_Element", others: "list[_Element]") -> "_Element":
    """The rules themselves, where a list refers to those of a style."""
    for _ in range(_MAX_LINKS):
        link = value(element, "numStyleLink")
        target = next((other for other in others if link and value(other, "styleLink") == link), None)
        if target is None:
            return element
        element = target
    return element


def _read_list(element: "_Element") -> _List:
    levels, by_style = {}, {}
    for level in element.iterfind(f"{W}lvl"):
        number = int(level.get(f"{W}ilvl", "0"))
        levels[number] = _read_level(level)
        if style := value(level, "pStyle"):
            by_style[style] = number
    return _List(levels, by_style)


def _read_level(level: "_Element") -> _Level:
    kind = value(level, "numFmt") or "decimal"
    restart = value(level, "lvlRestart")
    return _Level(
        start=int(value(level, "start") or 0),
        style=_STYLES.get(kind, kind),
        text=_bullet(level) if kind == "bullet" else value(level, "lvlText") or "",
        restart=None if restart is None else int(restart),
        legal=bool(is_on(level, "isLgl")),
    )


def _bullet(level: "_Element") -> str:
    """The bullet; letters and private characters of symbol fonts mean nothing without their font."""
    text = value(level, "lvlText") or ""
    fonts = child(level, "rPr", "rFonts")
    symbols = fonts is not None and any(font.startswith(_SYMBOL_FONTS) for font in fonts.attrib.values())
    without_meaning = any("\ue000" <= sign <= "\uf8ff" or (symbols and sign < "\u0250") for sign in text)
    return "•" if without_meaning else text


def _overrides(num: "_Element") -> tuple[dict[int, _Level], dict[int, int]]:
    """The levels and the starts that a list has of its own."""
    levels, starts = {}, {}
    for override in num.iterfind(f"{W}lvlOverride"):
        number = int(override.get(f"{W}ilvl", "0"))
        level = child(override, "lvl")
        if level is not None:
            levels[number] = _read_level(level)
        start = value(override, "startOverride")
        if start is not None:
            starts[number] = int(start)
        elif level is not None:
            starts[number] = levels[number].start
    return levels, starts

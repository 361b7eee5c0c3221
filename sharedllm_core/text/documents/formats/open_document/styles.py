"""Styles of an OpenDocument file: hidden text, superscripts, and how lists are numbered."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..archives import local_name
from ..numerals import numeral
from .names import FO, STYLE, TEXT

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["ListLevel", "Styles"]

_MAX_ANCESTORS = 20
_NUMERALS = {"I": "upper-roman", "i": "lower-roman", "A": "upper-letter", "a": "lower-letter"}


@dataclass(frozen=True)
class ListLevel:
    """How one level of a list is numbered.

    Attributes:
        numeral_style: `None` for levels without numbers.
        bullet: of levels with bullets.
        prefix, suffix: around the number.
        start: the first number.
        display_levels: how many levels the number shows.
    """

    numeral_style: str | None = None
    bullet: str = ""
    prefix: str = ""
    suffix: str = ""
    start: int = 1
    display_levels: int = 1

    def shown(self, counts: dict[int, int], levels: "dict[int, ListLevel]", level: int) -> str:
        """The number or bullet of an item.

        Args:
            counts: of each level, from 1.
            levels: of the list.
            level: of the item, from 1.
        """
        if self.numeral_style is None:
            return self.bullet
        numbers = []
        for other in range(max(1, level - self.display_levels + 1), level + 1):
            style = levels.get(other, ListLevel("1")).numeral_style
            if style is not None and other in counts:
                numbers.append(numeral(counts[other], style))
        return f"{self.prefix}{'.'.join(numbers)}{self.suffix}".strip()


class Styles:
    """Looks up the styles of a file.

    Args:
        roots: of its parts that define styles, the most important first.
    """

    def __init__(self, roots: "list[_Element]") -> None:
        self._styles: dict[tuple[str, str], _Element] = {}
        self._lists: dict[str, dict[int, ListLevel]] = {}
        self.outline: dict[int, ListLevel] = {}
        for root in roots:
            for style in root.iter(f"{STYLE}style"):
                self._styles.setdefault((style.get(f"{STYLE}family", ""), style.get(f"{STYLE}name", "")), style)
            for rules in root.iter(f"{TEXT}list-style"):
                self._lists.setdefault(rules.get(f"{STYLE}name", ""), _levels(rules))
            for rules in root.iter(f"{TEXT}outline-style"):
                self.outline = self.outline or _levels(rules)

    def list_levels(self, name: str) -> dict[int, ListLevel]:
        """The levels of a list style, from 1."""
        return self._lists.get(name, {})

    def is_hidden(self, family: str, name: str | None) -> bool:
        """Whether text of a style is hidden."""
        return self._text_property(family, name, f"{TEXT}display") == "none"

    def is_raised(self, name: str | None) -> bool:
        """Whether text of a style is a superscript."""
        position = self._text_property("text", name, f"{STYLE}text-position") or ""
        first = position.split(" ")[0]
        return first == "super" or (first.endswith("%") and not first.startswith("-") and first != "0%")

    def breaks_page(self, name: str | None) -> bool:
        """Whether a page begins before a paragraph of a style."""
        style = self._styles.get(("paragraph", name or ""))
        properties = None if style is None else style.find(f"{STYLE}paragraph-properties")
        return properties is not None and properties.get(f"{FO}break-before") == "page"

    def list_style(self, name: str | None) -> str:
        """The list style that a paragraph style names; empty if it names none."""
        for _ in range(_MAX_ANCESTORS):
            style = self._styles.get(("paragraph", name or ""))
            if style is None:
                return ""
            if (found := style.get(f"{STYLE}list-style-name")) is not None:
                return str(found)
            name = style.get(f"{STYLE}parent-style-name")
        return ""

    def _text_property(self, family: str, name: str | None, key: str) -> str | None:
        for _ in range(_MAX_ANCESTORS):
            style = self._styles.get((family, name or ""))
            if style is None:
                return None
            properties = style.find(f"{STYLE}text-properties")
            if properties is not None and properties.get(key) is not None:
                return str(properties.get(key))
            name = style.get(f"{STYLE}parent-style-name")
        return None


def _levels(rules: "_Element") -> dict[int, ListLevel]:
    levels = {}
    for level in rules:
        number = int(level.get(f"{TEXT}level", "1"))
        prefix, suffix = level.get(f"{STYLE}num-prefix", ""), level.get(f"{STYLE}num-suffix", "")
        if local_name(level) == "list-level-style-bullet":
            sign = level.get(f"{TEXT}bullet-char", "•")
            levels[number] = ListLevel(bullet="•" if "\ue000" <= sign <= "\uf8ff" else sign)
            continue
        kind = level.get(f"{STYLE}num-format", "")
        levels[number] = ListLevel(
            numeral_style=_NUMERALS.get(kind, kind) if kind else None,
            prefix=prefix,
            suffix=suffix,
            start=int(level.get(f"{TEXT}start-value", "1")),
            display_levels=int(level.get(f"{TEXT}display-levels", "1")),
        )
    return levels

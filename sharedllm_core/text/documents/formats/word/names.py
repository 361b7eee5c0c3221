"""Names and values of WordprocessingML."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["RELATION", "W", "child", "is_on", "value"]

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_OFF = {"0", "false", "off"}


def child(element: "_Element | None", *path: str) -> "_Element | None":
    """The first element at a path of names below an element; `None` if there is none."""
    for name in path:
        if element is None:
            return None
        element = element.find(W + name)
    return element


def value(element: "_Element | None", *path: str) -> str | None:
    """The `val` of the element at a path of names."""
    found = child(element, *path)
    return None if found is None else found.get(f"{W}val")


def is_on(element: "_Element | None", *path: str) -> bool | None:
    """Whether a property is switched on; `None` if it is not set."""
    found = child(element, *path)
    return None if found is None else found.get(f"{W}val", "1").lower() not in _OFF

"""What browsers show of form controls and pictures, as text."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["control_text"]

_BOXES = {"checkbox", "radio"}
_WITHOUT_TEXT = {"hidden", "password", "file", "color", "range"}


def control_text(node: "LexborNode") -> str | None:
    """The text of a form control or a picture; `None` if the element is neither."""
    if node.tag == "img":
        return _picture(node)
    if node.tag == "input":
        return _input(node)
    return _choice(node) if node.tag == "select" else None


def _picture(node: "LexborNode") -> str:
    description = (node.attributes.get("alt") or "").strip()
    return f" [image: {description}] " if description else ""


def _input(node: "LexborNode") -> str:
    kind = (node.attributes.get("type") or "text").lower()
    if kind in _BOXES:
        return " [x] " if "checked" in node.attributes else " [ ] "
    if kind == "image":
        return _picture(node)
    value = node.attributes.get("value") or ""
    return "" if kind in _WITHOUT_TEXT or not value else f" {value} "


def _choice(node: "LexborNode") -> str:
    """The selected options; the first where none is, as browsers show it."""
    options = node.css("option")
    selected = [option for option in options if "selected" in option.attributes] or options[:1]
    return f" {', '.join(option.text().strip() for option in selected)} "

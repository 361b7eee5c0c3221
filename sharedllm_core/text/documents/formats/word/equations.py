"""Equations of Word files, written in one line."""

from typing import TYPE_CHECKING

from ..archives import local_name

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["equation_text"]

_PROPERTIES = "Pr"


def equation_text(element: "_Element") -> str:
    """Write an equation, such as `E=mc^2` or `(a+b)/2`."""
    name = local_name(element)
    if name == "t":
        return element.text or ""
    if name.endswith(_PROPERTIES) or name in {"del", "moveFrom", "delText", "instrText"}:
        return ""
    parts = {local_name(part): equation_text(part) for part in element if local_name(part) in _ARGUMENTS.get(name, ())}
    if name in _ARGUMENTS:
        return _FORMS[name](element, parts)
    joined = "".join(equation_text(part) for part in element)
    return f" {joined} " if name == "oMathPara" else joined


def _grouped(text: str) -> str:
    return text if len(text) < 2 or text.isalnum() else f"({text})"


def _fraction(_element: "_Element", parts: dict[str, str]) -> str:
    return f"{_grouped(parts.get('num', ''))}/{_grouped(parts.get('den', ''))}"


def _scripts(_element: "_Element", parts: dict[str, str]) -> str:
    below, above = parts.get("sub", ""), parts.get("sup", "")
    return parts.get("e", "") + (f"_{_grouped(below)}" if below else "") + (f"^{_grouped(above)}" if above else "")


def _root(_element: "_Element", parts: dict[str, str]) -> str:
    degree = parts.get("deg", "")
    return f"√{f'[{degree}]' if degree else ''}{_grouped(parts.get('e', ''))}"


def _sum(element: "_Element", parts: dict[str, str]) -> str:
    sign = next((value for found in element.iter("{*}chr") for value in found.attrib.values()), "∫")
    return (
        _scripts(element, {"e": sign, "sub": parts.get("sub", ""), "sup": parts.get("sup", "")})
        + " "
        + parts.get("e", "")
    )


def _enclosed(element: "_Element", _parts: dict[str, str]) -> str:
    signs = {"begChr": "(", "sepChr": "|", "endChr": ")"}
    for part in element:
        if local_name(part) == "dPr":
            for sign in part:
                signs[local_name(sign)] = next(iter(sign.attrib.values()), "")
    inner = signs["sepChr"].join(equation_text(part) for part in element if local_name(part) == "e")
    return f"{signs['begChr']}{inner}{signs['endChr']}"


def _matrix(element: "_Element", _parts: dict[str, str]) -> str:
    rows = [part for part in element if local_name(part) == "mr"]
    return "; ".join(", ".join(equation_text(cell) for cell in row) for row in rows)


_FORMS = {
    "f": _fraction,
    "sSup": _scripts,
    "sSub": _scripts,
    "sSubSup": _scripts,
    "rad": _root,
    "nary": _sum,
    "d": _enclosed,
    "m": _matrix,
}
_ARGUMENTS = {
    "f": ("num", "den"),
    "sSup": ("e", "sup"),
    "sSub": ("e", "sub"),
    "sSubSup": ("e", "sub", "sup"),
    "rad": ("deg", "e"),
    "nary": ("sub", "sup", "e"),
    "d": (),
    "m": (),
}

"""Values of spreadsheet cells as the cells show them."""

import datetime
import re
from typing import Any

__all__ = ["cell_text"]

_IN_BRACKETS = re.compile(r"\[(?:\$([^\]-]*)(?:-[^\]]*)?|[^\]]*)\]")
_DIGITS = re.compile(r"[#0?][#0?,]*(?:\.[#0?]+)?|\.[#0?]+")
_LITERAL = re.compile(r'"([^"]*)"|\\(.)|[_*].')


def cell_text(value: Any, number_format: str) -> str:
    """Write a value as its cell shows it; dates are written year first.

    Args:
        value: as the file holds it.
        number_format: of the cell, such as `#,##0.00 "EUR"`.
    """
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        day = value.date().isoformat()
        return day if value.time() == datetime.time() else f"{day} {value.time().isoformat()}"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int | float):
        return _number_text(value, number_format or "General")
    return str(value)


def _number_text(value: float, number_format: str) -> str:
    positive, *others = number_format.split(";")
    own_sign = bool(others and others[0]) and value < 0
    pattern = _IN_BRACKETS.sub(lambda found: found[1] or "", others[0] if own_sign else positive)
    digits = _DIGITS.search(_LITERAL.sub(lambda found: "\0" * len(found[0]), pattern))
    if digits is None or "E+" in pattern or "/" in pattern:
        return _general(value)
    before, after = pattern[: digits.start()], pattern[digits.end() :]
    whole, _, decimals = digits[0].partition(".")
    if "%" in before + after:
        value *= 100
    if whole.endswith(","):  # thousands or millions
        return _general(value)
    text = f"{abs(value) if own_sign else value:{',' if ',' in whole else ''}.{len(decimals)}f}"
    for _ in range(len(decimals) - len(decimals.rstrip("#?"))):
        text = text.removesuffix("0") if "." in text else text
    text = text.removesuffix(".").zfill(whole.count("0"))
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    return f"{sign}{_plain(before)}{text}{_plain(after)}".strip()


def _plain(literal: str) -> str:
    return _LITERAL.sub(lambda found: found[1] or found[2] or "", literal)


def _general(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15g}"

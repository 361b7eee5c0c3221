"""Text that every encoding can write: lone surrogates are replaced."""

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["count_surrogates", "well_formed", "well_formed_values"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """Replace surrogates, which no encoding can write, by U+FFFD, one by one, so that offsets stay."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text) if _SURROGATE.search(text) else text


def count_surrogates(text: str) -> int:
    """Count the characters that `well_formed` replaces."""
    return len(_SURROGATE.findall(text))


def well_formed_values(value: Any) -> Any:
    """Return a JSON value with well-formed strings."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {well_formed_values(name): well_formed_values(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [well_formed_values(one) for one in value]
    return value

"""Pools written as text: `<town>`, `the <old|new> mill of <town>`, `<number:3-84> months`.

`<…>` stands for a part that is drawn:

    <town>                 a pool of `pools.py`, by the name of its constant, or one of `_WORDS`
    <quarterly|monthly>    one of several words
    <number:3-84>          a whole number
    <commas:1000-99000>    the same, with commas
    <padded:0-59>          the same, with at least two digits
    <decimal:1.5-80.25>    a number with as many decimals as the upper bound
    <digits:6>             so many digits, the first of them not 0
    <letters:3>            so many capitals
    <small:3>              so many small letters
    <hex:8>                so many hexadecimal digits
"""

import re
from collections.abc import Callable
from functools import cache
from random import Random

from ....errors import ConfigError
from .. import pools, vocabulary
from ..pools import Part, Pool, digits, letters, number

__all__ = ["pool"]

_PART = re.compile(r"<([^<>]*)>")
_BOUNDS = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.(\d+))?)")
_POOLS: dict[str, Pool] = {name.lower(): found for name, found in vars(pools).items() if isinstance(found, Pool)}


def _capitalized(words: list[str]) -> list[str]:
    return [word.capitalize() for word in words]


_WORDS: dict[str, Part] = {
    "first": vocabulary.FIRST_NAMES,
    "last": pools.PERSON.parts["last"],
    "month": vocabulary.MONTHS,
    "weekday": vocabulary.WEEKDAYS,
    "year": number(1710, 2079),
    "quality": vocabulary.QUALITIES,
    "animal": vocabulary.ANIMALS,
    "object": vocabulary.OBJECTS,
    "material": vocabulary.MATERIALS,
    "Quality": _capitalized(vocabulary.QUALITIES),
    "Animal": _capitalized(vocabulary.ANIMALS),
    "Object": _capitalized(vocabulary.OBJECTS),
    "craft": vocabulary.CRAFTS,
    "trade": vocabulary.TRADES,
    "device": vocabulary.DEVICES,
    "dish": vocabulary.DISHES,
    "role": vocabulary.ROLES,
    "verb": vocabulary.VERBS,
}
_OF_LENGTH: dict[str, Callable[[int], Part]] = {
    "digits": digits,
    "letters": letters,
    "small": lambda count: letters(count, "abcdefghijkmnpqrstuvwxyz"),
    "hex": lambda count: letters(count, "0123456789abcdef"),
}
_WHOLE_NUMBERS = {"number": "d", "commas": ",d", "padded": "02d"}


@cache
def pool(pattern: str) -> Pool:
    """Return the pool of a pattern; the same pattern gives the same pool, so that kinds can share it.

    Args:
        pattern: a text with parts in `<…>`. A single named pool is that pool itself.

    Raises:
        ConfigError: a part is unknown, or its bounds are none.
    """
    named = _PART.fullmatch(pattern)
    if named and named[1] in _POOLS:
        return _POOLS[named[1]]
    parts: dict[str, Part] = {}

    def field(match: re.Match[str]) -> str:
        name = f"part{len(parts)}"
        parts[name] = _part(match[1])
        return f"{{{name}}}"

    return Pool(_PART.sub(field, pattern.replace("{", "{{").replace("}", "}}")), parts)


def _part(text: str) -> Part:
    if text in _POOLS:
        return _POOLS[text].draw
    if text in _WORDS:
        return _WORDS[text]
    if "|" in text:
        return text.split("|")
    form, _, size = text.partition(":")
    if form in _OF_LENGTH and size.isdecimal() and int(size) > 0:
        return _OF_LENGTH[form](int(size))
    bounds = _BOUNDS.fullmatch(size)
    if bounds and float(bounds[1]) <= float(bounds[2]):
        if form == "decimal":
            return _decimal(float(bounds[1]), float(bounds[2]), len(bounds[3] or ""))
        if form in _WHOLE_NUMBERS and "." not in size:
            return number(int(bounds[1]), int(bounds[2]), _WHOLE_NUMBERS[form])
    raise ConfigError(
        f"<{text}> is no part of a key or value",
        remedy="write a pool such as <town>, words such as <old|new>, or a form such as <number:3-84> or <digits:6>",
    )


def _decimal(low: float, high: float, places: int) -> Callable[[Random], str]:
    return lambda rng: f"{rng.uniform(low, high):.{places}f}"

"""Further kinds of fact for step 3 of the embedded model, read from `kinds/*.yaml`.

    - name: warranty_period
      key: <product>                 # what it is about
      value: <number:3-84> months    # what is said of it
      facts: [...]                   # patterns with {key} and {value}
      questions: [...]               # patterns with {key}
      phrases: [...]                 # noun phrases that mean the value, with {key}
      several: ...                   # optional: what a key's values are called, where it may have several, with {key}
      via: [...]                     # optional: questions with {via}, a noun phrase that means the key

In keys and values, `<…>` stands for a part that is drawn: one of `_NAMED`, a form of number or letters, or one of
several words, `<quarterly|monthly>`:

    <number:3-84>        a whole number                 <commas:1000-99000>   the same, with commas
    <padded:0-59>        with two digits                <decimal:1.5-80.25>   as many decimals as the higher bound has
    <digits:6>           so many digits                 <letters:3>           so many capitals
    <small:3>            so many small letters          <hex:8>               so many hexadecimal digits
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

from sharedllm_core.training.tasks import FactKind, pools, vocabulary
from sharedllm_core.training.tasks.pools import Part, Pool, digits, letters, number

__all__ = ["written_kinds"]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where there is a C library
_FOLDER = Path(__file__).parent / "kinds"
_PART = re.compile(r"<([^<>]+)>")
_NAMED: dict[str, Part] = {
    "first": vocabulary.FIRST_NAMES,
    "last": pools.PERSON.parts["last"],
    "person": pools.PERSON.draw,
    "town": pools.TOWN.draw,
    "company": pools.COMPANY.draw,
    "institution": pools.INSTITUTION.draw,
    "building": pools.BUILDING.draw,
    "ship": pools.SHIP.draw,
    "project": pools.PROJECT.draw,
    "society": pools.SOCIETY.draw,
    "agreement": pools.AGREEMENT.draw,
    "product": pools.PRODUCT.draw,
    "brand": Pool("{a}{b}", {"a": vocabulary.BRAND_HEADS, "b": vocabulary.BRAND_TAILS}).draw,
    "book": pools.BOOK.draw,
    "peak": pools.PEAK.draw,
    "service": pools.SERVICE.draw,
    "function": pools.FUNCTION.draw,
    "date": pools.DATE.draw,
    "month": vocabulary.MONTHS,
    "weekday": vocabulary.WEEKDAYS,
    "year": number(1710, 2079),
    "quality": vocabulary.QUALITIES,
    "animal": vocabulary.ANIMALS,
    "object": vocabulary.OBJECTS,
    "material": vocabulary.MATERIALS,
    "Quality": [word.capitalize() for word in vocabulary.QUALITIES],
    "Animal": [word.capitalize() for word in vocabulary.ANIMALS],
    "Object": [word.capitalize() for word in vocabulary.OBJECTS],
    "craft": vocabulary.CRAFTS,
    "trade": vocabulary.TRADES,
    "device": vocabulary.DEVICES,
    "dish": vocabulary.DISHES,
    "role": vocabulary.ROLES,
    "verb": vocabulary.VERBS,
}


def written_kinds(folder: Path = _FOLDER) -> tuple[FactKind, ...]:
    """All kinds of the folder's files.

    Raises:
        ValueError: a kind that cannot be used: which, and why.
    """
    files = [yaml.load(file.read_text(encoding="utf-8"), _Loader) for file in sorted(folder.glob("*.yaml"))]  # noqa: S506
    kinds = tuple(_kind(given) for file in files for given in file)
    for kind in kinds:
        _check(kind)
    return kinds


def _kind(given: dict[str, Any]) -> FactKind:
    return FactKind(
        name=given["name"],
        key=_pool(given["key"]),
        value=_pool(given["value"]),
        facts=tuple(given["facts"]),
        questions=tuple(given["questions"]),
        phrases=tuple(given["phrases"]),
        via=tuple(given.get("via", ())),
        several=given.get("several", ""),
    )


def _check(kind: FactKind) -> None:
    rng = Random(kind.name)  # noqa: S311
    names = {"key": kind.key.draw(rng), "value": kind.value.draw(rng)}
    if len({kind.key.draw(rng) for _ in range(60)}) < 40:
        raise ValueError(f"{kind.name}: there are too few different keys")
    if len({kind.value.draw(rng) for _ in range(60)}) < 6:
        raise ValueError(f"{kind.name}: there are too few different values")
    key = {"key": names["key"]}
    for field, at_least, patterns, wanted in (
        ("facts", 8, kind.facts, names),
        ("questions", 8, kind.questions, key),
        ("phrases", 3, kind.phrases, key),
        ("via", 4 if kind.via else 0, kind.via, {"via": "the one that is meant"}),
        ("several", 0, (kind.several,) if kind.several else (), key),
    ):
        if len(patterns) < at_least:
            raise ValueError(f"{kind.name}: {len(patterns)} {field}; at least {at_least} are needed")
        for pattern in patterns:
            try:
                text = pattern.format(**wanted)
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"{kind.name}: {pattern!r} has other fields than {sorted(wanted)}") from error
            if not all(text.count(name) == 1 for name in wanted.values()):
                raise ValueError(f"{kind.name}: {pattern!r} does not have each of {sorted(wanted)} once")


@cache
def _pool(pattern: str) -> Pool:
    """Kinds about the same things share their pool."""
    parts: dict[str, Part] = {}

    def field(match: re.Match[str]) -> str:
        parts[f"part{len(parts)}"] = _part(match.group(1))
        return f"{{part{len(parts) - 1}}}"

    return Pool(_PART.sub(field, pattern), parts)


def _part(given: str) -> Part:
    if given in _NAMED:
        return _NAMED[given]
    if "|" in given:
        return given.split("|")
    form, _, bounds = given.partition(":")
    if form in ("digits", "letters", "small", "hex"):
        signs: dict[str, Callable[[int], Part]] = {
            "digits": digits,
            "letters": letters,
            "small": lambda count: letters(count, "abcdefghijkmnpqrstuvwxyz"),
            "hex": lambda count: letters(count, "0123456789abcdef"),
        }
        return signs[form](int(bounds))
    low, _, high = bounds.partition("-")
    if form == "decimal":
        places = len(high.partition(".")[2])
        return lambda rng: f"{rng.uniform(float(low), float(high)):.{places}f}"
    if form in ("number", "commas", "padded"):
        return number(int(low), int(high), {"number": "d", "commas": ",d", "padded": "02d"}[form])
    raise ValueError(f"<{given}> is no part of a key or value")


if __name__ == "__main__":
    for kind in written_kinds():
        rng = Random(kind.name)  # noqa: S311
        print(f"{kind.name}: {rng.choice(kind.facts).format(key=kind.key.draw(rng), value=kind.value.draw(rng))!r}")

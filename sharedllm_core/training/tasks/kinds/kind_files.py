"""`read_kinds`: kinds of fact from YAML files.

A file is a list of kinds; `FactKind` says what each field is, and `pool_pattern` what `<…>` stands for:

    - name: warranty_period
      key: "<product>"
      value: "<number:3-84> months"
      facts: ["The {key} is under warranty for {value}.", …]
      questions: ["How long is the {key} under warranty?", …]
      phrases: ["the warranty period of the {key}", …]
      several: "warranty periods of the {key}"                # optional, as are the following
      via: ["How long is {via} under warranty?", …]
      counted: "products with a warranty"
      held_out: true
"""

import string
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from ....errors import ConfigError, DocumentError
from ..pools import Pool
from ._kind import FactKind
from .pool_pattern import pool

__all__ = ["read_kinds"]

_REQUIRED: dict[str, type] = {"name": str, "key": str, "value": str, "facts": list, "questions": list, "phrases": list}
_FIELDS = _REQUIRED | {"several": str, "via": list, "counted": str, "held_out": bool}
_TYPE_NAMES = {str: "a text", list: "a list of texts", bool: "true or false"}
_DRAWS = 60


class _Rule(NamedTuple):
    """How many patterns a field of a kind has at least, and what each of them must and may contain."""

    at_least: int
    once: tuple[str, ...] = ()
    once_or_more: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_RULES = {
    "facts": _Rule(10, ("value",), ("key",), ("key2", "value2", "key3", "value3")),
    "questions": _Rule(10, ("key",)),
    "phrases": _Rule(4, ("key",)),
    "via": _Rule(4, ("via",)),
    "several": _Rule(1, ("key",)),
    "counted": _Rule(1),
}


def read_kinds(path: str | Path) -> tuple[FactKind, ...]:
    """Read and check kinds of fact.

    Args:
        path: a YAML file, or a folder, whose `*.yaml` are read in the order of their names.

    Raises:
        DocumentError: there are no such files, a file is no list of kinds, or a kind cannot be used; the message names
            file, kind and reason.
    """
    path = Path(path)
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files:
        raise DocumentError(f"{path} has no *.yaml", remedy="give a file of kinds, or a folder of such files")
    kinds: dict[str, FactKind] = {}
    for file in files:
        for number, fields in enumerate(_entries(file), start=1):
            where = f"{file}, kind {fields.get('name', number)!r}"
            kind = _kind(fields, where)
            if kind.name in kinds:
                raise DocumentError(f"{where}: another kind has this name", remedy="give each one a name of its own")
            kinds[kind.name] = kind
    return tuple(kinds.values())


def _entries(file: Path) -> list[dict[str, Any]]:
    import yaml  # takes longer than the rest of this package, and most of its users read no kinds

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where there is a C library
    try:
        entries = yaml.load(file.read_text(encoding="utf-8"), loader)  # noqa: S506
    except OSError as error:
        raise DocumentError(f"{file} cannot be read: {error.strerror}", remedy="give a YAML file of kinds") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DocumentError(f"{file} is no YAML: {error}") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise DocumentError(f"{file} is no list of kinds", remedy="begin each kind with `- name: …`")
    return entries


def _kind(fields: dict[str, Any], where: str) -> FactKind:
    _check_types(fields, where)
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()}
    kind = FactKind(**values | {"key": _pool(fields["key"], where), "value": _pool(fields["value"], where)})
    for name, rule in _RULES.items():
        patterns: str | tuple[str, ...] = getattr(kind, name)
        if name in fields:
            _check_patterns((patterns,) if isinstance(patterns, str) else patterns, name, rule, where)
    rng = Random(kind.name)  # noqa: S311 (no secret)
    for name, draw, least in (("keys", kind.key.draw, 40), ("values", kind.value.draw, 6)):
        _check_variety(draw, rng, f"{where}: {name}", least)
    return kind


def _check_types(fields: dict[str, Any], where: str) -> None:
    if unknown := sorted(str(name) for name in fields if name not in _FIELDS):
        raise DocumentError(f"{where}: unknown field {unknown[0]!r}", remedy=f"known are {', '.join(_FIELDS)}")
    if missing := [name for name in _REQUIRED if name not in fields]:
        raise DocumentError(f"{where}: {missing[0]!r} is missing", remedy=f"needed are {', '.join(_REQUIRED)}")
    for name, value in fields.items():
        wanted = _FIELDS[name]
        texts = value if wanted is list and isinstance(value, list) else ()
        if not isinstance(value, wanted) or not all(isinstance(text, str) for text in texts):
            raise DocumentError(f"{where}: {name!r} is not {_TYPE_NAMES[wanted]}")


def _pool(pattern: str, where: str) -> Pool:
    try:
        return pool(pattern)
    except ConfigError as error:
        raise DocumentError(f"{where}: {error.what}", limit=error.limit, remedy=error.remedies) from error


def _check_patterns(patterns: tuple[str, ...], name: str, rule: _Rule, where: str) -> None:
    if len(patterns) < rule.at_least:
        raise DocumentError(
            f"{where}: {len(patterns)} {name}", limit=f"and at least {rule.at_least} are needed", remedy="write more"
        )
    needed = {*rule.once, *rule.once_or_more}
    for pattern in patterns:
        try:
            found = Counter(field for _, field, _, _ in string.Formatter().parse(pattern) if field is not None)
        except ValueError as error:
            raise DocumentError(f"{where}: {pattern!r}: {error}", remedy="write {{ and }} for braces") from error
        if set(found) - needed - set(rule.optional):
            listed = ", ".join(f"{{{field}}}" for field in (*sorted(needed), *rule.optional)) or "none"
            raise DocumentError(f"{where}: {pattern!r} has other fields than {listed}")
        for field in sorted(needed):
            if not found[field] or (found[field] > 1 and field in rule.once):
                raise DocumentError(
                    f"{where}: {pattern!r} has {{{field}}} {found[field]} times", remedy="write it once"
                )


def _check_variety(draw: Callable[[Random], str], rng: Random, what: str, least: int) -> None:
    different = len({draw(rng) for _ in range(_DRAWS)})
    if different < least:
        raise DocumentError(
            f"{what} are too few: {different} different ones in {_DRAWS} draws",
            limit=f"and {least} are needed",
            remedy="add parts in <…>, or widen them",
        )

"""A JSON schema as it is written by: what it leaves open is closed where Python could not read all of it.

JSON knows numbers that are infinite to Python and whole numbers too long for it; schemas know dates of the year 0 and
the 29th of February in any year. None of them is written.
"""

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["written_schema"]

_COMPACT: Any = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_SCHEMAS = ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "prefixItems")
_KINDS = ("null", "boolean", "number", "string", "array", "object")
_ANNOTATIONS = {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"}
_ANYTHING = "sharedllm.anything"

_LARGEST = {"integer": 10**18, "number": 10**15}
_NEXT = 1e-9  # how far a number stays from a bound that it must not be

_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_SPAN_OF_TIME = "T(?:{n}H(?:{n}M(?:{n}S)?)?|{n}M(?:{n}S)?|{n}S)".replace("{n}", "[0-9]{1,9}")
_SPAN_OF_DAYS = "(?:{n}Y(?:{n}M(?:{n}D)?)?|{n}M(?:{n}D)?|{n}D)".replace("{n}", "[0-9]{1,6}")

#: Formats that are narrower here than where they are defined, as patterns.
_PATTERNS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": f"P(?:{_SPAN_OF_DAYS}(?:{_SPAN_OF_TIME})?|{_SPAN_OF_TIME}|[0-9]{{1,6}}W)",
}
#: Formats that say what a text is for, and nothing about what stands in it.
_NAMES = ("path", "binary", "password")


def written_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that admits part of what another does: what can be read in Python, without spaces between its parts.

    Objects have the properties that are named and no others, unless the schema says otherwise or is composed. What a
    composed schema leaves open altogether stays as open as it is.

    Raises:
        TypeError: not an object.
    """
    if not isinstance(schema, Mapping):
        raise TypeError("a schema is an object")
    written = _written(schema, close=not _composes(schema))
    if written == _anything():
        written = _anything_at_all()
    if _has_anything(written):
        defs = written.get("$defs")
        written["$defs"] = {**(defs if isinstance(defs, Mapping) else {}), _ANYTHING: _anything_at_all()}
    return {**written, "x-guidance": _COMPACT}


def _composes(schema: Any) -> bool:
    """Whether an object may have to fit several schemas at once, each of which names some of its properties."""
    if isinstance(schema, Mapping):
        several = schema.get("allOf")
        return (isinstance(several, list) and len(several) > 1) or any(map(_composes, schema.values()))
    return isinstance(schema, list) and any(map(_composes, schema))


def _written(schema: Any, *, close: bool) -> Any:
    if isinstance(schema, list):
        return [_written(part, close=close) for part in schema]
    if close and (schema is True or (isinstance(schema, Mapping) and _ANNOTATIONS.issuperset(schema))):
        return _anything()
    if not isinstance(schema, Mapping):
        return schema
    written = dict(schema)
    for name in _MAPS:
        if isinstance(schema.get(name), Mapping):
            written[name] = {key: _written(part, close=close) for key, part in schema[name].items()}
    written |= {name: _written(schema[name], close=close) for name in _SCHEMAS if name in schema}
    if close and "properties" in schema and "patternProperties" not in schema:
        written.setdefault("additionalProperties", False)
    return _readable(written, close=close)


def _readable(schema: dict[str, Any], *, close: bool) -> dict[str, Any]:
    """A schema without what Python cannot read, its parts left as they are."""
    if "const" in schema or "enum" in schema or "$ref" in schema:
        return schema
    kinds = schema.get("type", [] if {"anyOf", "oneOf", "allOf"} & schema.keys() else _KINDS)
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if close and "array" in kinds:
        schema.setdefault("items", _anything())
    if close and "object" in kinds:
        schema.setdefault("additionalProperties", _anything())
    if "integer" in kinds or "number" in kinds:
        schema |= _bounds(schema, "number" if "number" in kinds else "integer")
    return _narrowed(schema)


def _has_anything(written: Any) -> bool:
    if isinstance(written, Mapping):
        return written == _anything() or any(map(_has_anything, written.values()))
    return isinstance(written, list) and any(map(_has_anything, written))


def _anything() -> dict[str, Any]:
    return {"$ref": f"#/$defs/{_ANYTHING}"}


def _anything_at_all() -> dict[str, Any]:
    bounds = _bounds({}, "number")
    return {"type": list(_KINDS), "items": _anything(), "additionalProperties": _anything(), **bounds}


def _bounds(schema: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Inclusive bounds of numbers, which exclude exponents, and the tails of zeros and nines towards other bounds."""
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if not all(bound is None or isinstance(bound, bool | int | float) for bound in (least, most, above, below)):
        return {}
    # Draft 4 has booleans.
    above = (least if above else None) if isinstance(above, bool) else above
    below = (most if below else None) if isinstance(below, bool) else below
    largest = _LARGEST[kind]
    lows = [-largest, *(x for x in (least, None if above is None else _beside(above, kind, 1)) if x is not None)]
    highs = [largest, *(x for x in (most, None if below is None else _beside(below, kind, -1)) if x is not None)]
    low, high = max(lows), min(highs)
    if low > high:  # beyond what is written here, or nothing at all
        return {}
    return {"minimum": low, "maximum": high, "exclusiveMinimum": False, "exclusiveMaximum": False}


def _beside(bound: float, kind: str, side: int) -> float:
    """The next number that is written on one side of a bound."""
    if kind == "integer":
        return math.floor(bound) + 1 if side > 0 else math.ceil(bound) - 1
    near = round(bound + side * _NEXT, 9)
    return near if (near - bound) * side > 0 else math.nextafter(bound, side * math.inf)


def _narrowed(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of which the format is one that Python reads."""
    name = schema.get("format")
    if name not in _NAMES and name not in _PATTERNS:
        return schema
    rest = {key: value for key, value in schema.items() if key != "format"}
    if name in _NAMES:
        return rest
    pattern = f"^(?:{_PATTERNS[name]})$"
    if "pattern" not in rest:
        return {**rest, "pattern": pattern}
    return {**rest, "allOf": [*rest.get("allOf", []), {"pattern": pattern}]}

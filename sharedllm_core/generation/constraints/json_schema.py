"""Restriction of a JSON schema to values that Python can parse.

JSON allows numbers that overflow to infinity in Python and integers too long for it; schema formats allow dates of year
0 and the 29th of February in any year. The restricted schema excludes them all.
"""

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["FORMAT_PATTERNS", "restrict_schema"]

_COMPACT: Any = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
_SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_SUBSCHEMAS = ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "prefixItems")
_TYPES = ("null", "boolean", "number", "string", "array", "object")
_ANNOTATIONS = {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"}
_ANY_VALUE = "sharedllm.anything"  # name of the definition of an arbitrary value

_LARGEST = {"integer": 10**18, "number": 10**15}
_MARGIN = 1e-9  # distance of a number from an exclusive bound

_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_LEAP = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DATE = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_TIME_OF_DAY = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?"
_TIME = f"{_TIME_OF_DAY}(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_SPAN_OF_TIME = "T(?:{n}H(?:{n}M(?:{n}S)?)?|{n}M(?:{n}S)?|{n}S)".replace("{n}", "[0-9]{1,9}")
_SPAN_OF_DAYS = "(?:{n}Y(?:{n}M(?:{n}D)?)?|{n}M(?:{n}D)?|{n}D)".replace("{n}", "[0-9]{1,6}")

_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"(?:{_BYTE}\.){{3}}{_BYTE}"
_IPV6 = "(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-%s[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
# Addresses of networks end in zeros.
_IPV4_NETWORK = rf"(?:{_BYTE}\.0\.0\.0/8|(?:{_BYTE}\.){{2}}0\.0/16|(?:{_BYTE}\.){{3}}0/24|{_IPV4}(?:/32)?)"
_IPV6_NETWORK = f"(?:(?:[0-9a-f]{{1,4}}:){{3}}:/48|(?:[0-9a-f]{{1,4}}:){{4}}:/64|{_IPV6}(?:/128)?)"
_IPV4_INTERFACE = f"{_IPV4}(?:/(?:[12][0-9]|3[0-2]|[0-9]))?"
_IPV6_INTERFACE = f"{_IPV6}(?:/(?:[1-9][0-9]|1[01][0-9]|12[0-8]|[0-9]))?"

#: Patterns for formats of the JSON schema standard, which are narrower here, and for those that pydantic adds.
FORMAT_PATTERNS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": f"P(?:{_SPAN_OF_DAYS}(?:{_SPAN_OF_TIME})?|{_SPAN_OF_TIME}|[0-9]{{1,6}}W)",
    "date-time-local": f"{_DATE}T{_TIME_OF_DAY}",
    **{f"uuid{version}": _UUID % version for version in (1, 3, 4, 5, 6, 7, 8)},
    "ipv4network": _IPV4_NETWORK,
    "ipv6network": _IPV6_NETWORK,
    "ipvanynetwork": f"(?:{_IPV4_NETWORK}|{_IPV6_NETWORK})",
    "ipv4interface": _IPV4_INTERFACE,
    "ipv6interface": _IPV6_INTERFACE,
    "ipvanyinterface": f"(?:{_IPV4_INTERFACE}|{_IPV6_INTERFACE})",
    "ipvanyaddress": f"(?:{_IPV4}|{_IPV6})",
    "base64": "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
    "base64url": "(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?",
}
#: Formats that do not constrain the text; they are dropped.
_IGNORED_FORMATS = ("path", "binary", "password")


def restrict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Restrict a schema to compact JSON that Python can parse; every match also matches the original schema.

    Objects get only the properties that are named, unless the schema sets `additionalProperties` or contains an `allOf`
    with several parts. In such a composed schema, a value without any schema stays unrestricted.

    Raises:
        TypeError: the schema is not an object.
    """
    if not isinstance(schema, Mapping):
        raise TypeError("a schema is an object")
    restricted = _restrict(schema, close=not _is_composed(schema))
    if restricted == _any_value_ref():
        restricted = _any_value_schema()
    if _contains_any_value(restricted):
        defs = restricted.get("$defs")
        restricted["$defs"] = {**(defs if isinstance(defs, Mapping) else {}), _ANY_VALUE: _any_value_schema()}
    return {**restricted, "x-guidance": _COMPACT}


def _is_composed(schema: Any) -> bool:
    """Whether an object may have to match several schemas at once, each of which names some of its properties."""
    if isinstance(schema, Mapping):
        parts = schema.get("allOf")
        return (isinstance(parts, list) and len(parts) > 1) or any(map(_is_composed, schema.values()))
    return isinstance(schema, list) and any(map(_is_composed, schema))


def _restrict(schema: Any, *, close: bool) -> Any:
    """Restrict a schema with all its parts; `close` excludes properties and values without a schema."""
    if isinstance(schema, list):
        return [_restrict(part, close=close) for part in schema]
    if close and (schema is True or (isinstance(schema, Mapping) and _ANNOTATIONS.issuperset(schema))):
        return _any_value_ref()
    if not isinstance(schema, Mapping):
        return schema
    restricted = dict(schema)
    for name in _SCHEMA_MAPS:
        if isinstance(schema.get(name), Mapping):
            restricted[name] = {key: _restrict(part, close=close) for key, part in schema[name].items()}
    restricted |= {name: _restrict(schema[name], close=close) for name in _SUBSCHEMAS if name in schema}
    if close and "properties" in schema and "patternProperties" not in schema:
        restricted.setdefault("additionalProperties", False)
    return _restrict_values(restricted, close=close)


def _restrict_values(schema: dict[str, Any], *, close: bool) -> dict[str, Any]:
    """Restrict the values of a schema whose parts are restricted already."""
    if "const" in schema or "enum" in schema or "$ref" in schema:
        return schema
    types = schema.get("type", [] if {"anyOf", "oneOf", "allOf"} & schema.keys() else _TYPES)
    types = [types] if isinstance(types, str) else types
    if close and "array" in types:
        schema.setdefault("items", _any_value_ref())
    if close and "object" in types:
        schema.setdefault("additionalProperties", _any_value_ref())
    if "integer" in types or "number" in types:
        schema |= _bounds(schema, "number" if "number" in types else "integer")
    return _restrict_format(schema)


def _contains_any_value(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return schema == _any_value_ref() or any(map(_contains_any_value, schema.values()))
    return isinstance(schema, list) and any(map(_contains_any_value, schema))


def _any_value_ref() -> dict[str, Any]:
    return {"$ref": f"#/$defs/{_ANY_VALUE}"}


def _any_value_schema() -> dict[str, Any]:
    bounds = _bounds({}, "number")
    return {"type": list(_TYPES), "items": _any_value_ref(), "additionalProperties": _any_value_ref(), **bounds}


def _bounds(schema: Mapping[str, Any], number_type: str) -> dict[str, Any]:
    """Return inclusive bounds for numbers.

    They exclude exponents, and endless digits 0 or 9 of numbers that approach an exclusive bound.
    """
    minimum, maximum = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if not all(bound is None or isinstance(bound, bool | int | float) for bound in (minimum, maximum, above, below)):
        return {}
    # In draft 4 of JSON schema, exclusive bounds are booleans.
    above = (minimum if above else None) if isinstance(above, bool) else above
    below = (maximum if below else None) if isinstance(below, bool) else below
    largest = _LARGEST[number_type]
    lows = [
        -largest,
        *(x for x in (minimum, None if above is None else _inside(above, number_type, 1)) if x is not None),
    ]
    highs = [
        largest,
        *(x for x in (maximum, None if below is None else _inside(below, number_type, -1)) if x is not None),
    ]
    low, high = max(lows), min(highs)
    if low > high:  # the schema's bounds are outside our limits, or contradict each other
        return {}
    return {"minimum": low, "maximum": high, "exclusiveMinimum": False, "exclusiveMaximum": False}


def _inside(bound: float, number_type: str, side: int) -> float:
    """Return the nearest allowed number above (`side` 1) or below (−1) an exclusive bound."""
    if number_type == "integer":
        return math.floor(bound) + 1 if side > 0 else math.ceil(bound) - 1
    near = round(bound + side * _MARGIN, 9)
    return near if (near - bound) * side > 0 else math.nextafter(bound, side * math.inf)


def _restrict_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Replace a schema's format by a pattern of the texts that Python can parse."""
    name = schema.get("format")
    if name not in _IGNORED_FORMATS and name not in FORMAT_PATTERNS:
        return schema
    rest = {key: value for key, value in schema.items() if key != "format"}
    if name in _IGNORED_FORMATS:
        return rest
    pattern = f"^(?:{FORMAT_PATTERNS[name]})$"
    if "pattern" not in rest:
        return {**rest, "pattern": pattern}
    return {**rest, "allOf": [*rest.get("allOf", []), {"pattern": pattern}]}

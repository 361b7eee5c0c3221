"""JSON schemas of pydantic classes for constrained generation, and what a class checks beyond its schema.

pydantic's own schema of a class leaves out some of what the class checks: schemes of URLs, digits of decimals, keys of
dicts, validators. Here, what a grammar can enforce is added to the schema. The rest is reported before anything is
generated.
"""

import functools
import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from sharedllm_core import Constraint, InputError, SchemaWarning
from sharedllm_core.generation.constraints.json_schema import FORMAT_PATTERNS

__all__ = ["class_schema", "warn_of_checks"]

_HOST = r"(?:(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)*[a-z]{2,20})"
_USER = "(?:[A-Za-z0-9._~]+(?::[A-Za-z0-9._~]+)?@)"
_URL_PATH = "(?:/[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)"
_FRACTION = "^-?[0-9]{1,15}(?:/[1-9][0-9]{0,14})?$"
_COMPLEX = r"^-?[0-9]{1,15}(?:\.[0-9]{1,9})?[+-][0-9]{1,15}(?:\.[0-9]{1,9})?j$"
_TEXT_CHECKS = {
    "email": "email-validator refuses some domains",
    "file-path": "the file must exist",
    "directory-path": "the folder must exist",
    "regex": "the regular expression must be valid",
}
_FUNCTION_CHECKS = {
    "decode_str": "what base64 encodes must be text",
    "validate_new": "its folder must exist, and the file must not",
}
_REMEDY = "validate the answer yourself and ask again if it fails"


def class_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a class, with everything that a grammar can enforce.

    Raises:
        InputError: a class that has no JSON schema, such as one with a field that takes any instance of a class.
    """
    return dict(_schema_and_checks(model)[0])


def warn_of_checks(model: type[BaseModel], remedy: str = _REMEDY) -> None:
    """Warn of what a class checks and a grammar cannot enforce; each field is named with the reason.

    Args:
        model: the class.
        remedy: what the caller can do about answers that fail.

    Raises:
        InputError: a class that has no JSON schema.
    """
    checks = _schema_and_checks(model)[1]
    if checks:
        listed = "; ".join(f"{place}: {reason}" for place, reason in checks)
        warning = SchemaWarning(
            f"answers fit the schema of {model.__name__}, and may still fail its validation ({listed})", remedy=remedy
        )
        warnings.warn(warning, stacklevel=3)


@functools.lru_cache(maxsize=256)
def _schema_and_checks(model: type[BaseModel]) -> tuple[Mapping[str, Any], tuple[tuple[str, str], ...]]:
    checks: dict[tuple[str, str], None] = {}  # in their order

    class Generator(_EnforceableSchema):
        def report(self, reason: str, place: str | None = None) -> None:
            checks[place or self.place or model.__name__, reason] = None

    parameters = inspect.signature(model.model_json_schema).parameters.values()
    takes_generator = any(one.name == "schema_generator" or one.kind is one.VAR_KEYWORD for one in parameters)
    options: Any = {"schema_generator": Generator} if takes_generator else {}  # otherwise it writes its schema itself
    try:
        schema = model.model_json_schema(**options)
    except PydanticInvalidForJsonSchema as error:
        raise InputError(
            f"{model.__name__} has no JSON schema: {error.message}",
            remedy="use a type that JSON has, or add WithJsonSchema to the field",
        ) from error
    return schema, tuple(checks)


class _EnforceableSchema(GenerateJsonSchema):
    """Generates the schema of a class, and reports checks that are not in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._owners: list[str] = []  # classes around the present part, the innermost last
        self._fields: list[str] = []  # fields likewise
        self._names: dict[int, str] = {}  # of fields, by the identity of their core schema

    @property
    def place(self) -> str:
        """The field of the present part, with its class; empty outside a field."""
        return ".".join(name for name in (*self._owners[-1:], *self._fields[-1:]) if name)

    def report(self, reason: str, place: str | None = None) -> None:
        """Record a check that the schema cannot hold."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------ where a part stands

    def generate_inner(self, schema: Any) -> Any:
        name = self._names.get(id(schema))
        with _pushed(self._fields, name):
            generated = super().generate_inner(schema)
            return self._without_unenforced_format(generated)

    def model_schema(self, schema: Any) -> Any:
        with _pushed(self._owners, schema["cls"].__name__), _pushed(self._fields, ""):
            return super().model_schema(schema)

    def dataclass_schema(self, schema: Any) -> Any:
        with _pushed(self._owners, schema["cls"].__name__), _pushed(self._fields, ""):
            return super().dataclass_schema(schema)

    def model_fields_schema(self, schema: Any) -> Any:
        self._names |= {id(field): name for name, field in schema["fields"].items()}
        return super().model_fields_schema(schema)

    def typed_dict_schema(self, schema: Any) -> Any:
        self._names |= {id(field): name for name, field in schema["fields"].items()}
        return super().typed_dict_schema(schema)

    def dataclass_args_schema(self, schema: Any) -> Any:
        self._names |= {id(field): field["name"] for field in schema["fields"]}
        return super().dataclass_args_schema(schema)

    # ------------------------------------------------------------------------------------------ validators

    def function_before_schema(self, schema: Any) -> Any:
        self._report_function(schema)
        return super().function_before_schema(schema)

    def function_after_schema(self, schema: Any) -> Any:
        self._report_function(schema)
        return super().function_after_schema(schema)

    def function_wrap_schema(self, schema: Any) -> Any:
        self._report_function(schema)
        return super().function_wrap_schema(schema)

    def function_plain_schema(self, schema: Any) -> Any:
        self._report_function(schema)
        return super().function_plain_schema(schema)

    def _report_function(self, schema: Any) -> None:
        function = schema["function"]["function"]
        while isinstance(function, functools.partial):
            function = function.func
        module, name = getattr(function, "__module__", None) or "", getattr(function, "__name__", str(function))
        validated = schema.get("schema", {})
        owner = validated["cls"].__name__ if validated.get("type") in ("model", "dataclass") else None
        if module.partition(".")[0] == "pydantic" and name in _FUNCTION_CHECKS:
            self.report(_FUNCTION_CHECKS[name])
        elif module == "pydantic._internal._known_annotated_metadata":
            self.report("it has a constraint that JSON schemas do not have")
        elif module.partition(".")[0] != "pydantic":
            self.report(f"the validator {name} may refuse it", owner)

    # ------------------------------------------------------------------------------------------ values

    def url_schema(self, schema: Any) -> Any:
        return self._with_url_pattern(super().url_schema(schema), schema)

    def multi_host_url_schema(self, schema: Any) -> Any:
        return self._with_url_pattern(super().multi_host_url_schema(schema), schema)

    def _with_url_pattern(self, generated: dict[str, Any], schema: Any) -> dict[str, Any]:
        schemes = schema.get("allowed_schemes")
        if schemes is None and generated["format"] == "uri":
            return generated
        names = "|".join(re.escape(scheme).replace(r"\-", "-") for scheme in schemes or ["https", "http"])
        user = f"{_USER}?" if generated["format"] == "multi-host-uri" else ""
        place = "" if schemes == ["file"] else f"{user}{_HOST}(?::[1-9][0-9]{{0,3}})?"
        path = _URL_PATH if schemes == ["file"] else f"{_URL_PATH}?"
        kept = {name: value for name, value in generated.items() if name not in ("format", "minLength")}
        return {**kept, "pattern": f"^(?:{names})://{place}{path}$"}

    def decimal_schema(self, schema: Any) -> Any:
        number: dict[str, Any] = super().decimal_schema(schema)["anyOf"][0]
        digits, places = schema.get("max_digits"), schema.get("decimal_places")
        if digits is not None and places is None:
            if not number.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}:
                return {"type": "string", "pattern": _digits_pattern(digits)}
            places = 0  # bounds need a number, and only a whole one has a known number of digits
        if places is not None:
            number.setdefault("multipleOf", float(f"1e-{places}") if places else 1)
        if digits is not None:
            largest = float(f"{10**digits - 1}e-{places}") if places else 10**digits - 1
            number["minimum"] = max(number.get("minimum", -largest), -largest)
            number["maximum"] = min(number.get("maximum", largest), largest)
        return number

    def fraction_schema(self, schema: Any) -> Any:
        number, text = super().fraction_schema(schema)["anyOf"]
        return number if number.keys() > {"type"} else {"type": text["type"], "pattern": _FRACTION}

    def complex_schema(self, schema: Any) -> Any:
        return {"type": "string", "pattern": _COMPLEX}

    def date_schema(self, schema: Any) -> Any:
        return self._dated(schema, super().date_schema(schema))

    def time_schema(self, schema: Any) -> Any:
        return self._dated(schema, super().time_schema(schema))

    def timedelta_schema(self, schema: Any) -> Any:
        return self._dated(schema, super().timedelta_schema(schema))

    def datetime_schema(self, schema: Any) -> Any:
        generated = self._dated(schema, super().datetime_schema(schema))
        zone = schema.get("tz_constraint")
        if zone == "naive":
            return {**generated, "format": "date-time-local"}
        if isinstance(zone, int):
            self.report("its offset from UTC is fixed")
        return generated

    def _dated(self, schema: Any, generated: dict[str, Any]) -> dict[str, Any]:
        if now := schema.get("now_op"):
            self.report(f"it must be in the {now}")
        if bounds := [name for name in ("ge", "gt", "le", "lt") if schema.get(name) is not None]:
            self.report(f"it has bounds ({', '.join(bounds)}) in time")
        return generated

    def set_schema(self, schema: Any) -> Any:
        return self._merged(super().set_schema(schema))

    def frozenset_schema(self, schema: Any) -> Any:
        return self._merged(super().frozenset_schema(schema))

    def _merged(self, generated: dict[str, Any]) -> dict[str, Any]:
        if generated.get("minItems", 0) > 1:
            self.report(f"equal items are merged, and fewer than {generated['minItems']} may remain")
        return {name: value for name, value in generated.items() if name != "uniqueItems"}

    def dict_schema(self, schema: Any) -> Any:
        generated = {name: value for name, value in super().dict_schema(schema).items() if name != "propertyNames"}
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        keys = self.resolve_ref_schema(keys) if "$ref" in keys else keys
        if not keys or (keys.keys() - {"title"} == {"type"} and keys["type"] == "string"):
            return generated
        pattern = _key_pattern(keys)
        if pattern is None:
            self.report("not every text is one of its keys")
            return generated
        values = generated.pop("additionalProperties", True)
        generated.pop("patternProperties", None)
        return {**generated, "patternProperties": {pattern: values}, "additionalProperties": False}

    def json_schema(self, schema: Any) -> Any:
        self.report("the text must be JSON")
        return {"type": "string"}

    def str_schema(self, schema: Any) -> Any:
        generated = super().str_schema(schema)
        if schema.get("strip_whitespace") and "minLength" in generated and "pattern" not in generated:
            generated["pattern"] = r"^\S(?:[\s\S]*\S)?$"  # white space at the ends would be cut off
        return generated

    def _without_unenforced_format(self, generated: Any) -> Any:
        name = generated.get("format") if isinstance(generated, dict) else None
        if not isinstance(name, str):
            return generated
        if reason := _TEXT_CHECKS.get(name):
            self.report(reason)
        elif not _is_enforced(name):
            self.report(f"its format is {name}")
        return generated if _is_enforced(name) else {key: value for key, value in generated.items() if key != "format"}


def _digits_pattern(digits: int) -> str:
    """Return a pattern for decimal numbers with at most so many digits."""
    texts = [f"[0-9]{{1,{digits}}}"]
    texts += [f"[0-9]{{1,{digits - places}}}\\.[0-9]{{{places}}}" for places in range(1, digits)]
    return f"^-?(?:{'|'.join(texts)})$"


def _key_pattern(keys: Mapping[str, Any]) -> str | None:
    """Return a pattern for the keys of an object, given the schema of the keys; `None` if there is none."""
    if "pattern" in keys:
        return str(keys["pattern"])
    if keys.get("type") == "integer" and keys.keys() <= {"type", "title"}:
        return "^(?:0|-?[1-9][0-9]{0,17})$"
    if "enum" in keys or "const" in keys:
        texts = [str(value) for value in keys.get("enum", [keys.get("const")])]
        return f"^(?:{'|'.join(map(re.escape, texts))})$"
    if keys.get("format") in FORMAT_PATTERNS:
        return f"^(?:{FORMAT_PATTERNS[keys['format']]})$"
    if keys.get("format") == "uuid":
        return "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    return None


@functools.lru_cache(maxsize=256)
def _is_enforced(name: str) -> bool:
    """Whether generated strings have this format."""
    try:
        Constraint.json_schema({"type": "string", "format": name})
    except InputError:
        return False
    return True


@contextmanager
def _pushed(stack: list[str], name: str | None) -> Iterator[None]:
    if name is not None:
        stack.append(name)
    try:
        yield
    finally:
        if name is not None:
            stack.pop()

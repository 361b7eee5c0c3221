"""`Constraint`: what an answer may look like. A grammar, checked when it is made; `constrained.py` keeps to it.

Grammars are llguidance's, which knows JSON schemas, regular expressions and its own dialect of Lark.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from llguidance import LLMatcher

from .errors import InputError

__all__ = ["Constraint"]

_COMPACT: Any = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}


@dataclass(frozen=True)
class Constraint:
    """What an answer may look like. Make one with the methods below.

    Attributes:
        grammar: as llguidance takes it.
        said: in words, for messages.
        schema: of JSON, as text; `None` for any other constraint.
    """

    grammar: str = field(repr=False)
    said: str
    schema: str | None = field(repr=False, default=None)

    @classmethod
    def json_schema(cls, schema: Mapping[str, Any]) -> Self:
        """JSON that fits a schema, without spaces between its parts.

        An object has no properties but those that are named, unless the schema says otherwise (`additionalProperties`,
        or `allOf` of several parts anywhere).

        Raises:
            InputError: a schema that is none, or with keywords that cannot be kept to while writing (`not`,
                `uniqueItems`, …); none is left out silently.
        """
        try:
            text = json.dumps(_closed_schema(schema), ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"{schema!r:.200} is no JSON schema: {error}") from error
        return cls._checked(LLMatcher.grammar_from_json_schema(text), f"the JSON schema {text:.200}", text)

    @classmethod
    def json_object(cls) -> Self:
        """A JSON object of whatever fields."""
        return cls.json_schema({"type": "object"})

    @classmethod
    def choice(cls, options: Sequence[str]) -> Self:
        """One of some strings.

        Raises:
            InputError: no strings, or an empty one.
        """
        if isinstance(options, str) or not options or not all(isinstance(one, str) and one for one in options):
            raise InputError(f"{options!r:.200} is no choice; give a list of strings, none empty")
        return cls._checked(_lark(f"start: {' | '.join(map(_quoted, options))}"), f"one of {list(options)!r:.200}")

    @classmethod
    def regex(cls, pattern: str) -> Self:
        """Text of which all matches a regular expression (Rust's syntax: no look-around, no back-references).

        Raises:
            InputError: not such an expression.
        """
        return cls._checked(LLMatcher.grammar_from_regex(pattern), f"the regular expression {pattern!r:.200}")

    @classmethod
    def lark(cls, grammar: str, said: str = "the grammar") -> Self:
        """Text of a grammar in llguidance's dialect of Lark.

        Args:
            grammar: the rules; they may name the tokenizer's special tokens, which are looked for when it is used.
            said: in words, for messages.
        """
        return cls(_lark(grammar), said)

    @classmethod
    def _checked(cls, grammar: str, said: str, schema: str | None = None) -> Self:
        wrong, messages = LLMatcher.validate_grammar_with_warnings(grammar)
        if wrong or messages:
            raise InputError(f"cannot write by {said}: {'; '.join(messages)}; say it in another way")
        return cls(grammar, said, schema)


def _lark(grammar: str) -> str:
    return LLMatcher.grammar_from_lark(grammar)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _closed_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema whose objects have the properties that it names and no others, and that says how JSON is written."""
    if not isinstance(schema, Mapping):
        raise TypeError("a schema is an object")
    return {**(schema if _composes(schema) else _closed(schema)), "x-guidance": _COMPACT}


_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_SCHEMAS = ("items", "additionalProperties", "anyOf", "oneOf", "allOf", "prefixItems")


def _composes(schema: Any) -> bool:
    """Whether an object may have to fit several schemas at once, each of which names some of its properties."""
    if isinstance(schema, Mapping):
        several = schema.get("allOf")
        return (isinstance(several, list) and len(several) > 1) or any(map(_composes, schema.values()))
    return isinstance(schema, list) and any(map(_composes, schema))


def _closed(schema: Any) -> Any:
    """A schema with objects that have named properties only."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    closed = dict(schema)
    for name in _MAPS:
        if isinstance(schema.get(name), Mapping):
            closed[name] = {key: _closed(part) for key, part in schema[name].items()}
    closed |= {name: _closed(schema[name]) for name in _SCHEMAS if name in schema}
    if "properties" in schema and "patternProperties" not in schema:
        closed.setdefault("additionalProperties", False)
    return closed

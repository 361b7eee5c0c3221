"""`Constraint`: what an answer may look like. A grammar, checked when it is made; `processors.py` keeps to it.

Grammars are llguidance's, which knows JSON schemas, regular expressions and its own dialect of Lark.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from llguidance import LLMatcher

from ...errors import InputError
from .json_schema import written_schema

__all__ = ["Constraint"]


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

        What Python could not read is never written: numbers have no exponents and stay below 10^15, whole ones up to
        10^18, and 10^-9 inside of an exclusive bound; dates, times and durations are those that `datetime` can hold.
        Two names of open objects may be the same, which `minProperties` counts as two; and where a schema with `allOf`
        of several parts says nothing of a value, not even its type, its numbers may have exponents.

        Raises:
            InputError: a schema that is none, or with keywords that cannot be kept to while writing (`not`,
                `uniqueItems`, …); none is left out silently.
        """
        try:
            text = json.dumps(written_schema(schema), ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"{schema!r:.200} is no JSON schema: {error}") from error
        said = f"the JSON schema {json.dumps(schema, ensure_ascii=False):.200}"
        return cls._checked(LLMatcher.grammar_from_json_schema(text), said, text)

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
            raise InputError(f"{options!r:.200} is no choice", remedy="give a list of strings, none empty")
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
            raise InputError(f"unsupported constraint, {said}: {'; '.join(messages)}", remedy="rewrite it")
        return cls(grammar, said, schema)


def _lark(grammar: str) -> str:
    return LLMatcher.grammar_from_lark(grammar)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""`Constraint`: a grammar that an answer must match, validated when it is made; enforced in `processors.py`.

Grammars are those of llguidance: JSON schemas, regular expressions, and its own dialect of Lark.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from llguidance import LLMatcher

from ...errors import InputError
from ...text.unicode import well_formed, well_formed_values
from .json_schema import restrict_schema

__all__ = ["Constraint"]


@dataclass(frozen=True)
class Constraint:
    """A grammar for an answer. Make one with the class methods below.

    Attributes:
        grammar: the grammar in llguidance's format.
        description: names the constraint in error messages.
        schema: the JSON schema as text; `None` for any other constraint.
    """

    grammar: str = field(repr=False)
    description: str
    schema: str | None = field(repr=False, default=None)

    @classmethod
    def json_schema(cls, schema: Mapping[str, Any]) -> Self:
        """Constrain an answer to compact JSON (no spaces between its parts) that matches a schema.

        Objects have only the properties that the schema names, unless it sets `additionalProperties` or contains an
        `allOf` with several parts anywhere.

        Values that Python cannot parse are excluded: numbers have no exponents, a magnitude of at most 10^15 (integers
        10^18) and a distance of 10^-9 from an exclusive bound; dates, times and durations are limited to those that
        `datetime` can represent. Two exceptions: an object with free property names may repeat one, and `minProperties`
        counts it twice; in a schema with an `allOf` of several parts, a value without any schema, not even a type, may
        be a number with an exponent.

        Raises:
            InputError: an invalid schema, or keywords that cannot be enforced during decoding (`not`, `uniqueItems`,
                …); no keyword is silently ignored.
        """
        schema = well_formed_values(schema)
        try:
            text = json.dumps(restrict_schema(schema), ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"{schema!r:.200} is no JSON schema: {error}") from error
        description = f"the JSON schema {json.dumps(schema, ensure_ascii=False):.200}"
        return cls._validated(LLMatcher.grammar_from_json_schema(text), description, text)

    @classmethod
    def json_object(cls) -> Self:
        """Constrain an answer to a JSON object with any properties."""
        return cls.json_schema({"type": "object"})

    @classmethod
    def choice(cls, options: Sequence[str]) -> Self:
        """Constrain an answer to one of several strings.

        Raises:
            InputError: no strings, or an empty one.
        """
        if isinstance(options, str) or not options or not all(isinstance(one, str) and one for one in options):
            raise InputError(f"{options!r:.200} is no choice", remedy="give a list of strings, none empty")
        options = well_formed_values(options)
        return cls._validated(_lark(f"start: {' | '.join(map(_quoted, options))}"), f"one of {options!r:.200}")

    @classmethod
    def regex(cls, pattern: str) -> Self:
        """Constrain an answer to full matches of a regular expression.

        The syntax is Rust's: no look-around, no back-references.

        Raises:
            InputError: an invalid expression.
        """
        pattern = well_formed(pattern)
        return cls._validated(LLMatcher.grammar_from_regex(pattern), f"the regular expression {pattern!r:.200}")

    @classmethod
    def lark(cls, grammar: str, description: str = "the grammar") -> Self:
        """Constrain an answer to a grammar in llguidance's dialect of Lark.

        Args:
            grammar: the rules. They may name special tokens, which are resolved when the constraint is first used with
                a tokenizer.
            description: names the constraint in error messages.
        """
        return cls(_lark(well_formed(grammar)), well_formed(description))

    @classmethod
    def _validated(cls, grammar: str, description: str, schema: str | None = None) -> Self:
        is_error, messages = LLMatcher.validate_grammar_with_warnings(grammar)
        if is_error or messages:
            raise InputError(f"unsupported constraint, {description}: {'; '.join(messages)}", remedy="rewrite it")
        return cls(grammar, description, schema)


def _lark(grammar: str) -> str:
    return LLMatcher.grammar_from_lark(grammar)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

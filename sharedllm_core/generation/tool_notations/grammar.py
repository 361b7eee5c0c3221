"""The grammar of answers that may call tools.

Control tokens of the notation are named by their ids, so that the model writes the token and not its characters, also
where the tokenizer does not declare it special.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from ..constraints.constraint import Constraint
from ..tools import Tools
from .call_format import CALL_ID, CallFormat
from .control_token_ids import ControlTokenIds

__all__ = ["CallGrammar"]

_ID_RULE = r"/[a-zA-Z0-9]{9}/"
_JSON_PART = re.compile(r'"[^"]*"|\s+|.')
_ANY_TEXT = r"TEXT: /(.|\n)*/"


@dataclass(frozen=True)
class CallGrammar:
    """Builds the grammar of a call format for a tokenizer.

    Attributes:
        call_format: the notation.
        tokens: the control tokens of the tokenizer.
        marker: the token or text that begins a call; empty if calls begin with JSON.
        optional_tokens: control tokens of which one may stand before a call without a marker.
    """

    call_format: CallFormat
    tokens: ControlTokenIds
    marker: str
    optional_tokens: Sequence[str] = ()

    def constraint(self, tools: Tools, otherwise: Constraint | None) -> Constraint:
        """Build the constraint of an answer that may call tools.

        Args:
            tools: the tools; their choice is not `"none"`.
            otherwise: a JSON schema for an answer without calls, or `None`.

        Raises:
            InputError: parameters with keywords that are not supported.
        """
        functions = tools.callable_functions
        more = "more" if tools.parallel and self.call_format.parallel else ""
        rules = self._rules(functions, lazy=tools.choice == "auto" and otherwise is None)
        call = f"{self._sequence(self.marker)} opened {more} {self._sequence(self.call_format.end)}"
        if not self.marker:
            call = f"opened {more} {self._sequence(self.call_format.end)}"
        if tools.choice != "auto":
            rules.insert(0, f"start: {call}")
        elif otherwise is not None:
            rules[:0] = [f"start: {call} | otherwise", f"otherwise: %json {otherwise.schema}"]
        elif self.marker in self.tokens.ids:
            rules[:0] = [f"start: TEXT? {call} | TEXT?", _ANY_TEXT]
        elif self.marker:  # free text, until it contains the beginning of a call
            call = call.removeprefix(self._sequence(self.marker))
            rules[:0] = [f"start: begun {call} | TEXT", f"begun[lazy]: TEXT {_literal(self.marker)}", _ANY_TEXT]
        else:  # free text, unless it begins as a call does
            rules[:0] = [f"start: {call} | TEXT", _ANY_TEXT]
        return Constraint.lark("\n".join(rules), f"calls of {[function['name'] for function in functions]}")

    def heads(self, functions: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the text of a first call up to its arguments, for each function."""
        return [f"{self.call_format.opening}{f['name']}{self.call_format.before_arguments}" for f in functions]

    def _rules(self, functions: Sequence[Mapping[str, Any]], *, lazy: bool) -> list[str]:
        """Build the rules `opened`, a first call behind its marker, and `more`, further calls.

        Args:
            functions: the functions that may be called.
            lazy: whether a call without a marker must win over free text that begins like it.
        """
        parts = self.call_format
        numbers = range(len(functions))
        named = "(" + " | ".join(f"named_{number}" for number in numbers) + ")"
        rules = [f"more: ({self._sequence(parts.between + parts.before_name)} {named})*"]
        for number, function in zip(numbers, functions, strict=True):
            name_and_key = self._sequence(function["name"] + parts.before_arguments)
            rules.append(f"named_{number}: {name_and_key} arguments_{number}")
            rules.append(f"arguments_{number}: %json {self._schema(function)} {self._after_arguments}")
        if self.marker:
            rest = parts.opening.removeprefix(self.marker)
            return [f"opened: {self._sequence(rest)} {named}", *rules]
        tokens = " | ".join(self._sequence(token) for token in self.optional_tokens)
        heads = " | ".join(f"head_{number} arguments_{number}" for number in numbers)
        for number, head in enumerate(self.heads(functions)):
            # Beside another JSON text, the parts must be as short as its parts, or the longer one would always win.
            parts_of_head = " ".join(map(_literal, _JSON_PART.findall(head)))
            rules.append(f"head_{number}[lazy]: {_literal(head)}" if lazy else f"head_{number}: {parts_of_head}")
        return [f"opened: {f'({tokens})?' if tokens else ''} ({heads})", *rules]

    @property
    def _after_arguments(self) -> str:
        texts = dict.fromkeys((self.call_format.after_arguments, self.call_format.after_arguments_without_id))
        sequences = [self._sequence(text) for text in texts]
        return f"({' | '.join(sequences)})" if all(sequences) else ""

    def _schema(self, function: Mapping[str, Any]) -> str:
        try:
            schema = Constraint.json_schema(function["parameters"]).schema
        except InputError as error:
            raise InputError(f"tool {function['name']!r}: {error.what}", remedy=error.remedies) from error
        assert schema is not None
        separators = {
            "item_separator": self.call_format.item_separator,
            "key_separator": self.call_format.key_separator,
        }
        restricted = json.loads(schema)
        return json.dumps(restricted | {"x-guidance": restricted["x-guidance"] | separators}, ensure_ascii=False)

    def _sequence(self, text: str) -> str:
        """Write text as terms of the grammar: control tokens by their ids, ids of calls as a rule."""
        parts = [part for piece in self.tokens.split(text) for part in re.split(f"({CALL_ID})", piece) if part]
        return " ".join(map(self._term, parts))

    def _term(self, part: str) -> str:
        if part == CALL_ID:
            return _ID_RULE
        return f"<[{self.tokens.ids[part]}]>" if part in self.tokens.ids else _literal(part)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""Tools: describe them to a model, constrain its calls by a grammar, and parse the calls it generates.

Models are trained on different notations. `ToolNotation.for_tokenizer` detects the one of a tokenizer's chat template.
For a template without tool support, tools and calls are written into the messages in the Hermes notation.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from ..errors import InputError, setting
from ..text.tokenization import TextTokenizer
from .constraints.constraint import Constraint

__all__ = ["ToolCall", "ToolChoice", "ToolNotation", "Tools"]

#: Whether tools are called: the model decides, never, at least one, or the tool of this name.
ToolChoice = Literal["auto", "none", "required"] | str

_NAME = re.compile(r"[\w.-]{1,128}")
_ANYTHING = r"/(.|\n)*/"
_INTRODUCTION = (
    "You may call functions. Their signatures, as JSON, one a line:\n{tools}\n"
    "To call one, answer with nothing but\n"
    '<tool_call>\n{{"name":"its name","arguments":{{…}}}}\n</tool_call>'
)


@dataclass(frozen=True)
class ToolCall:
    """A tool call: the tool's name, and arguments that match its parameters' schema."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Tools:
    """Functions that an answer may call, and the tool choice.

    Attributes:
        functions: each with `name`, `description` and `parameters`, a JSON schema of type object.
        choice: see `ToolChoice`.
        parallel: whether one answer may contain several calls.
    """

    functions: tuple[Mapping[str, Any], ...]
    choice: ToolChoice = "auto"
    parallel: bool = True

    @classmethod
    def from_openai(cls, tools: Sequence[Mapping[str, Any]], choice: ToolChoice, parallel: bool) -> Self | None:
        """Validate tools in OpenAI's format: `{"type": "function", "function": {…}}`, or the inner part alone.

        Returns:
            The tools, or `None` if there are none.

        Raises:
            InputError: a tool without a name, two with the same name, parameters that are not a schema of type object,
                or a choice that names no tool.
        """
        functions = tuple(_function(tool) for tool in tools)
        names = [function["name"] for function in functions]
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise InputError(f"several tools are called {sorted(duplicates)}", remedy="give each a name of its own")
        if choice in names and choice not in ("auto", "none", "required"):
            return cls(functions, choice, parallel)
        if choice not in ("auto", "none", "required"):
            raise InputError(
                f"{setting('tool_choice', choice)} is none of the tools, which are {names}",
                remedy=["name one of them", "give 'auto', 'none' or 'required'"],
            )
        if not functions and choice == "required":
            raise InputError(setting("tool_choice", "required"), limit="and there are no tools", remedy="give some")
        return cls(functions, choice, parallel) if functions else None

    @property
    def openai_format(self) -> list[dict[str, Any]]:
        """The tools in OpenAI's format, as chat templates expect them."""
        return [{"type": "function", "function": dict(function)} for function in self.functions]

    @property
    def callable_functions(self) -> list[Mapping[str, Any]]:
        """The functions that the tool choice allows."""
        if self.choice in ("auto", "required"):
            return list(self.functions)
        return [function for function in self.functions if function["name"] == self.choice]


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
        raise InputError(
            f"{tool!r:.200} is no tool", remedy="give {'type': 'function', 'function': {'name': …, 'parameters': …}}"
        )
    if not _NAME.fullmatch(inner["name"]):
        raise InputError(
            f"{inner['name']!r} cannot be a tool's name", remedy="use letters, digits, '_', '-' and '.', up to 128"
        )
    parameters = inner.get("parameters") or {}
    if not isinstance(parameters, Mapping) or parameters.get("type", "object") != "object":
        raise InputError(
            f"the parameters of tool {inner['name']!r} are {parameters!r:.200}",
            remedy="give a JSON schema of type 'object'",
        )
    plain = {"type": "object", "properties": {}, **parameters}
    return {"name": inner["name"], "description": inner.get("description") or "", "parameters": plain}


@dataclass(frozen=True)
class ToolNotation:
    """The format of a model's tool calls: `begin`, a JSON object with name and arguments, `end`.

    Attributes:
        begin, end: markers around each call.
        begin_is_token, end_is_token: whether the markers are special tokens, which plain text cannot contain.
        between: separator between two calls.
        in_template: whether the tokenizer's chat template renders tools and calls itself.
    """

    begin: str
    end: str
    begin_is_token: bool = False
    end_is_token: bool = False
    between: str = ""
    in_template: bool = True

    @classmethod
    def for_tokenizer(cls, tokenizer: TextTokenizer) -> Self:
        """Detect the notation of a tokenizer's chat template."""
        inner = tokenizer.tokenizer
        template = str(getattr(inner, "chat_template", None) or "")
        if "<|tool_call|>" in template and "<|tool_call_end|>" in template:
            begin, end = "<|tool_call|>", "<|tool_call_end|>"
            special = {token.content for token in inner.added_tokens_decoder.values() if token.special}
            return cls(begin, end, begin in special, end in special)
        begin, end = "<tool_call>\n", "\n</tool_call>"
        return cls(begin, end, between="\n", in_template="<tool_call>" in template and "tools" in template)

    # ------------------------------------------------------------------------------------------ to the model

    def describe(self, tools: Tools) -> str:
        """Describe tools as text, for chat templates without tool support."""
        return _INTRODUCTION.format(tools="\n".join(_compact(function) for function in tools.openai_format))

    def format_calls(self, calls: Sequence[Mapping[str, Any]]) -> str:
        """Format calls of an earlier message, given in OpenAI's format, as the model would generate them."""
        return self.between.join(
            f"{self.begin}{_compact({'name': f['name'], 'arguments': f['arguments']})}{self.end}"
            for f in (call.get("function", call) for call in calls)
        )

    # ------------------------------------------------------------------------------------------ from the model

    def constraint(self, tools: Tools, otherwise: Constraint | None = None) -> Constraint | None:
        """Build the constraint of an answer that may call tools; `None` for no constraint.

        Args:
            tools: the tools.
            otherwise: the constraint of an answer without calls; must be a JSON schema.

        Raises:
            InputError: a constraint that is not a JSON schema, or parameters with unsupported keywords; see
                `Constraint.json_schema`.
        """
        if tools.choice == "none":
            return otherwise
        if otherwise is not None and otherwise.schema is None:
            raise InputError(
                f"tools cannot be combined with {otherwise.description}",
                remedy=["use Constraint.json_schema(…)", "give no tools"],
            )
        functions = tools.callable_functions
        begin = self.begin if self.begin_is_token else _literal(self.begin.strip())
        lines = [f"call: {begin} body", *self._call_rules(functions)]
        more = f"({_literal(self.between)} call)*" if self.between else "call*"
        more = more if tools.parallel else ""
        if tools.choice != "auto":
            lines.insert(0, f"start: call {more}")
        elif otherwise is not None:
            lines[:0] = [f"start: call {more} | otherwise", f"otherwise: %json {otherwise.schema}"]
        elif self.begin_is_token:
            lines[:0] = [f"start: TEXT? call {more} | TEXT?", f"TEXT: {_ANYTHING}"]
        else:  # free text, until it contains the beginning of a call
            lines[:0] = [f"start: begun body {more} | TEXT", f"begun[lazy]: TEXT {begin}", f"TEXT: {_ANYTHING}"]
        description = f"calls of {[function['name'] for function in functions]}"
        return Constraint.lark("\n".join(lines), description)

    def parse_calls(self, text: str) -> tuple[ToolCall, ...]:
        """Parse the complete calls in a text that begins with a call; a truncated last call is dropped."""
        calls: list[ToolCall] = []
        for part in text.split(self.begin.strip())[1:]:
            inner, ended, _ = part.partition(self.end.strip())
            if ended:
                call = json.loads(inner)
                calls.append(ToolCall(call["name"], call["arguments"]))
        return tuple(calls)

    def _call_rules(self, functions: Sequence[Mapping[str, Any]]) -> list[str]:
        """Build the grammar rules for a call after its `begin` marker; the first rule is `body`."""
        names = [f"body_{number}" for number in range(len(functions))]
        rules = [f"body: {' | '.join(names)}"]
        after = self.begin.removeprefix(self.begin.strip())
        for name, function in zip(names, functions, strict=True):
            head = f'{after}{{"name":{json.dumps(function["name"])},"arguments":'
            try:
                schema = Constraint.json_schema(function["parameters"]).schema
            except InputError as error:
                raise InputError(f"tool {function['name']!r}: {error.what}", remedy=error.remedies) from error
            closing = f"{_literal('}')} {self.end}" if self.end_is_token else _literal("}" + self.end)
            rules.append(f"{name}: {_literal(head)} %json {schema} {closing}")
        return rules


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""Tools: how they are told to a model, which grammar its calls keep to, and what calls it wrote.

Models were trained on different notations. `ToolNotation.of` finds the one that a tokenizer's chat template writes;
where it writes none, tools and calls are put into words in the notation of Hermes.
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

#: Whether tools are called: as the model likes, not at all, at least one, or the one of this name.
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
    """A call of a tool: its name and its arguments, which fit the tool's parameters."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Tools:
    """Functions that an answer may call, and whether it has to.

    Attributes:
        functions: each with `name`, `description` and `parameters`, a JSON schema of an object.
        choice: see `ToolChoice`.
        parallel: whether one answer may hold several calls.
    """

    functions: tuple[Mapping[str, Any], ...]
    choice: ToolChoice = "auto"
    parallel: bool = True

    @classmethod
    def of(cls, tools: Sequence[Mapping[str, Any]], choice: ToolChoice, parallel: bool) -> Self | None:
        """Tools in OpenAI's form, `{"type": "function", "function": {…}}` or the inner part alone; `None` for none.

        Raises:
            InputError: a tool without a name, two of one name, parameters that are no schema of an object, or a choice
                of what is not there.
        """
        functions = tuple(_function(tool) for tool in tools)
        names = [function["name"] for function in functions]
        if twice := {name for name in names if names.count(name) > 1}:
            raise InputError(f"several tools are called {sorted(twice)}", remedy="give each a name of its own")
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
    def listed(self) -> list[dict[str, Any]]:
        """In OpenAI's form, as chat templates take them."""
        return [{"type": "function", "function": dict(function)} for function in self.functions]

    @property
    def callable_functions(self) -> list[Mapping[str, Any]]:
        """Those that the choice leaves."""
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
    """How a model writes calls: `begin`, a JSON object of name and arguments, `end`.

    Attributes:
        begin, end: around each call.
        begin_is_token, end_is_token: whether they are special tokens, which no text can look like.
        between: what stands between two calls.
        in_template: whether the tokenizer's chat template tells tools and writes calls itself.
    """

    begin: str
    end: str
    begin_is_token: bool = False
    end_is_token: bool = False
    between: str = ""
    in_template: bool = True

    @classmethod
    def of(cls, tokenizer: TextTokenizer) -> Self:
        """The notation of a tokenizer's chat template."""
        inner = tokenizer.tokenizer
        template = str(getattr(inner, "chat_template", None) or "")
        if "<|tool_call|>" in template and "<|tool_call_end|>" in template:
            begin, end = "<|tool_call|>", "<|tool_call_end|>"
            special = {token.content for token in inner.added_tokens_decoder.values() if token.special}
            return cls(begin, end, begin in special, end in special)
        begin, end = "<tool_call>\n", "\n</tool_call>"
        return cls(begin, end, between="\n", in_template="<tool_call>" in template and "tools" in template)

    # ------------------------------------------------------------------------------------------ to the model

    def told(self, tools: Tools) -> str:
        """Tools in words, for templates that know none."""
        return _INTRODUCTION.format(tools="\n".join(_compact(function) for function in tools.listed))

    def written(self, calls: Sequence[Mapping[str, Any]]) -> str:
        """Calls of an earlier message, in OpenAI's form, as the model would have written them."""
        return self.between.join(
            f"{self.begin}{_compact({'name': f['name'], 'arguments': f['arguments']})}{self.end}"
            for f in (call.get("function", call) for call in calls)
        )

    # ------------------------------------------------------------------------------------------ from the model

    def constraint(self, tools: Tools, otherwise: Constraint | None = None) -> Constraint | None:
        """What an answer that may call tools looks like; `None` where anything goes.

        Args:
            tools: the tools.
            otherwise: what an answer that calls none keeps to; JSON of some schema.

        Raises:
            InputError: parameters with keywords that cannot be kept to; see `Constraint.json_schema`.
        """
        if tools.choice == "none":
            return otherwise
        if otherwise is not None and otherwise.schema is None:
            raise InputError(
                f"with tools an answer cannot keep to {otherwise.said}",
                remedy=["give Constraint.json_schema(…)", "no tools"],
            )
        callable_ones = tools.callable_functions
        begin = self.begin if self.begin_is_token else _literal(self.begin.strip())
        lines = [f"call: {begin} body", *self._bodies(callable_ones)]
        more = f"({_literal(self.between)} call)*" if self.between else "call*"
        more = more if tools.parallel else ""
        if tools.choice != "auto":
            lines.insert(0, f"start: call {more}")
        elif otherwise is not None:
            lines[:0] = [f"start: call {more} | otherwise", f"otherwise: %json {otherwise.schema}"]
        elif self.begin_is_token:
            lines[:0] = [f"start: TEXT? call {more} | TEXT?", f"TEXT: {_ANYTHING}"]
        else:  # text goes on until it looks like a call
            lines[:0] = [f"start: begun body {more} | TEXT", f"begun[lazy]: TEXT {begin}", f"TEXT: {_ANYTHING}"]
        said = f"calls of {[function['name'] for function in callable_ones]}"
        return Constraint.lark("\n".join(lines), said)

    def read(self, text: str) -> tuple[ToolCall, ...]:
        """The whole calls in a text that begins with one; a last one that was broken off is none."""
        calls: list[ToolCall] = []
        for part in text.split(self.begin.strip())[1:]:
            inner, ended, _ = part.partition(self.end.strip())
            if ended:
                call = json.loads(inner)
                calls.append(ToolCall(call["name"], call["arguments"]))
        return tuple(calls)

    def _bodies(self, functions: Sequence[Mapping[str, Any]]) -> list[str]:
        """What stands behind the beginning of a call: rules, of which the first is `body`."""
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

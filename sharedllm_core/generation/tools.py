"""Tools of a request: the functions that an answer may call, whether it calls them, and the calls of an answer.

How tools are described to a model and how it writes calls is the subject of `tool_notations/`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from ..errors import InputError, setting
from ..text.unicode import well_formed_values

__all__ = ["ToolCall", "ToolChoice", "Tools"]

#: Whether tools are called: the model decides, never, at least one, or the tool of this name.
ToolChoice = Literal["auto", "none", "required"] | str

_NAME = re.compile(r"[\w.-]{1,128}")


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
        functions = tuple(_function(tool) for tool in well_formed_values(tools))
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

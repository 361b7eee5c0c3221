"""What frameworks ask of structured output and of tools, put into the engine's options."""

from collections.abc import Mapping, Sequence
from typing import Any

from sharedllm_core import Constraint, InputError

__all__ = ["choice_of_tool", "constraint_of", "strings_of"]


def choice_of_tool(choice: Any, tools: Sequence[Mapping[str, Any]]) -> str:
    """`tool_choice` as the engine has it: `"auto"`, `"none"`, `"required"`, or the name of a tool.

    Raises:
        InputError: a tool that is not among `tools`, or no choice at all.
    """
    names = [tool["function"]["name"] for tool in tools]
    chosen = _named(choice) if isinstance(choice, Mapping) else choice
    if chosen in names:
        return str(chosen)
    if chosen is None or chosen is False:
        return "auto"
    if chosen is True or chosen in ("any", "required"):
        return "required"
    if chosen in ("auto", "none"):
        return str(chosen)
    raise InputError(
        f"tool_choice={choice!r} is none of the tools, which are {names}; name one, or give 'auto', 'any' or 'none'"
    )


def _named(choice: Mapping[str, Any]) -> Any:
    """The tool that a choice in OpenAI's or Anthropic's form names, or what it says in place of one."""
    inner = choice.get("function", choice)
    name = inner.get("name") if isinstance(inner, Mapping) else None
    if name is None and choice.get("type") in ("auto", "any", "none", "required") and inner is choice:
        return choice["type"]
    return name if name is not None else dict(choice)


def constraint_of(response_format: Any) -> Constraint | None:
    """OpenAI's `response_format` as a constraint.

    Raises:
        InputError: a format that is not known, or a schema that cannot be kept to.
    """
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return Constraint.json_object()
    if kind == "json_schema":
        inner = response_format.get("json_schema")
        schema = inner.get("schema") if isinstance(inner, Mapping) else response_format.get("schema")
        if isinstance(schema, Mapping):
            return Constraint.json_schema(schema)
    raise InputError(
        f"response_format={response_format!r:.200} is not known; give {{'type': 'json_schema', 'json_schema': "
        "{'name': …, 'schema': …}}, {'type': 'json_object'} or {'type': 'text'}"
    )


def strings_of(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """Strings that end an answer, of one, of several, or of none."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())

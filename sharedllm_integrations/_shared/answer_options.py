"""OpenAI's and the frameworks' forms of tools, response formats and stop strings, as the engine's answer options."""

from collections.abc import Mapping, Sequence
from typing import Any

from sharedllm_core import Constraint, InputError

from .engine_model import EngineModel

__all__ = ["CALL_ARGUMENTS", "OPTION_FIELDS", "answer_options", "response_constraint", "stop_strings", "tool_choice"]

#: Fields of the models, and arguments of their calls, that are answer options.
OPTION_FIELDS = (
    "temperature",
    "top_p",
    "top_k",
    "repetition_penalty",
    "max_tokens",
    "seed",
    "num_evidence",
    "quote_tokens",
    "thinking",
)
#: Other arguments of a call that both integrations accept.
CALL_ARGUMENTS = ("tools", "tool_choice", "parallel_tool_calls", "response_format", "documents", "timeout")


def answer_options(
    model: EngineModel, arguments: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the engine's options for a call, without `stop`.

    Args:
        model: its fields are the defaults.
        arguments: of the call.
        tools: of the call, in OpenAI's form.

    Raises:
        InputError: a tool choice or a response format that cannot be used.
    """
    options: dict[str, Any] = {name: arguments.get(name, getattr(model, name)) for name in OPTION_FIELDS}
    options["max_new_tokens"] = options.pop("max_tokens")
    options["constraint"] = response_constraint(arguments.get("response_format"))
    options["tools"] = list(tools)
    options["tool_choice"] = tool_choice(arguments.get("tool_choice"), tools)
    options["parallel_tool_calls"] = arguments.get("parallel_tool_calls", True)
    return options


def tool_choice(choice: Any, tools: Sequence[Mapping[str, Any]]) -> str:
    """Return the engine's form of a tool choice: `"auto"`, `"none"`, `"required"`, or the name of a tool.

    Raises:
        InputError: a tool that is not among `tools`, or an unknown choice.
    """
    names = [tool["function"]["name"] for tool in tools]
    chosen = _chosen_name(choice) if isinstance(choice, Mapping) else choice
    if chosen in names:
        return str(chosen)
    if chosen is None or chosen is False:
        return "auto"
    if chosen is True or chosen in ("any", "required"):
        return "required"
    if chosen in ("auto", "none"):
        return str(chosen)
    raise InputError(
        f"tool_choice={choice!r} is none of the tools, which are {names}",
        remedy="name one, or give 'auto', 'any' or 'none'",
    )


def _chosen_name(choice: Mapping[str, Any]) -> Any:
    """The tool that a choice in OpenAI's or Anthropic's form names, or the type of choice that it gives instead."""
    inner = choice.get("function", choice)
    name = inner.get("name") if isinstance(inner, Mapping) else None
    if name is None and choice.get("type") in ("auto", "any", "none", "required") and inner is choice:
        return choice["type"]
    return name if name is not None else dict(choice)


def response_constraint(response_format: Any) -> Constraint | None:
    """Return OpenAI's `response_format` as a constraint; `None` for free text.

    Raises:
        InputError: an unknown format, or a schema that cannot be enforced.
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
        f"response_format={response_format!r:.200} is not known",
        remedy="give {'type': 'json_schema', 'json_schema': {'name': …, 'schema': …}}, {'type': 'json_object'} or "
        "{'type': 'text'}",
    )


def stop_strings(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one, several or no stop strings as a tuple."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ())

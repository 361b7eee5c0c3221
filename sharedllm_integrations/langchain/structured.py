"""LangChain's tools and schemas in OpenAI's form, and runnables that parse answers into objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

from sharedllm_core import Constraint, InputError

from .._shared.answer_options import response_constraint
from .._shared.class_schemas import class_schema, warn_of_checks
from .._shared.errors import worded_errors

__all__ = ["check_tools", "openai_tools", "structured_output"]

_REMEDY = "use include_raw=True, which returns the error beside the answer, or validate and ask again"


def openai_tools(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """Convert tools of every kind that LangChain knows to OpenAI's form."""
    return [_openai_tool(tool) for tool in tools]


def check_tools(tools: Sequence[Any], converted: Sequence[Mapping[str, Any]], choice: str) -> None:
    """Check, when tools are bound, that the schemas of the arguments of those that may be called can be enforced.

    Warns of what classes of arguments check beyond their schemas.

    Args:
        tools: as they were given.
        converted: the same in OpenAI's form.
        choice: see `ToolChoice`.

    Raises:
        InputError: a schema that cannot be enforced.
    """
    for tool, form in zip(tools, converted, strict=True):
        function = form["function"]
        if choice not in ("auto", "required", function["name"]):
            continue
        try:
            Constraint.json_schema(function.get("parameters") or {"type": "object"})
        except InputError as error:
            raise InputError(f"tool {function['name']!r}: {error.what}", remedy=error.remedies) from error
        if (model := _arguments_class(tool)) is not None:
            warn_of_checks(model, _REMEDY)


@worded_errors()
def structured_output(
    llm: Any,
    schema: Any,
    *,
    method: str = "json_schema",
    include_raw: bool = False,
    **kwargs: Any,
) -> Runnable[Any, Any]:
    """Build `with_structured_output` of a chat model, or of one with bound arguments; see that of `ChatSharedLLM`."""
    if method not in ("json_schema", "json_mode", "function_calling"):
        raise InputError(
            f"method={method!r} is not known", remedy="use 'json_schema', 'function_calling' or 'json_mode'"
        )
    if schema is None and method != "json_mode":
        raise InputError(f"method={method!r} needs a schema", remedy=["give one", "use method='json_mode'"])
    traced = {"kwargs": {"method": method}, "schema": schema} if schema is not None else None
    bound = {**kwargs, "ls_structured_output_format": traced}
    parser: BaseOutputParser[Any]
    if method == "function_calling":
        bound_llm = llm.bind_tools([schema], **{**bound, "tool_choice": "any"})
        parser = _tool_call_parser(schema)
    else:
        response_format = _response_format(schema)
        response_constraint(response_format)  # an unsupported schema raises now
        if _is_current_model(schema):
            warn_of_checks(schema, _REMEDY)
        bound_llm = llm.bind(response_format=response_format, **bound)
        parser = PydanticOutputParser(pydantic_object=schema) if _is_model(schema) else JsonOutputParser()
    if not include_raw:
        structured: Runnable[Any, Any] = bound_llm | parser
        return structured
    parsed = RunnablePassthrough.assign(
        parsed=RunnableLambda(lambda outputs: outputs["raw"]) | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=bound_llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _openai_tool(tool: Any) -> dict[str, Any]:
    converted = convert_to_openai_tool(tool)
    model = _arguments_class(tool)
    if model is None:
        return converted
    parameters = _schema_of(model)
    # LangChain inlines what a schema refers to and drops the definitions that refer to themselves. It takes pydantic's
    # own schema, which leaves out some of what a grammar can enforce.
    if parameters is None or (class_schema(model) == model.model_json_schema() and not _is_recursive(parameters)):
        return converted
    plain = {key: value for key, value in parameters.items() if key not in ("title", "description")}
    return {**converted, "function": {**converted["function"], "parameters": plain}}


def _arguments_class(tool: Any) -> type[BaseModel] | None:
    """Return the pydantic class of a tool's arguments; `None` for a tool without one."""
    model: Any = tool.tool_call_schema if isinstance(tool, BaseTool) and tool.args_schema else tool
    return model if _is_current_model(model) else None


def _is_current_model(model: Any) -> bool:
    """Whether this is a class of pydantic 2."""
    return isinstance(model, type) and issubclass(model, BaseModel)


def _schema_of(model: Any) -> dict[str, Any] | None:
    """The schema of a pydantic class, with a reference at its top resolved; `None` for anything else."""
    if not _is_current_model(model):
        return None
    schema = class_schema(model)
    referred = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return {**schema["$defs"][referred], "$defs": schema["$defs"]} if referred else schema


def _is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether one of the schema's definitions refers to itself, directly or through others."""
    references = {f"#/$defs/{name}": _references(part) for name, part in schema.get("$defs", {}).items()}
    for name, ahead in references.items():
        reached: set[str] = set()
        while ahead:
            reached |= ahead
            ahead = set().union(*(references.get(other, set()) for other in ahead)) - reached  # noqa: PLW2901
        if name in reached:
            return True
    return False


def _references(part: Any) -> set[str]:
    if isinstance(part, Mapping):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(_references, part.values()))
    return set().union(*map(_references, part)) if isinstance(part, list) else set()


def _is_model(schema: Any) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _tool_call_parser(schema: Any) -> BaseOutputParser[Any]:
    if _is_model(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    name = convert_to_openai_tool(schema)["function"]["name"]
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def _response_format(schema: Any) -> dict[str, Any]:
    if schema is None:
        return {"type": "json_object"}
    as_json = _schema_of(schema) or convert_to_json_schema(schema)
    return {"type": "json_schema", "json_schema": {"name": as_json.get("title", "answer"), "schema": as_json}}

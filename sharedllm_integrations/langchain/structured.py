"""LangChain's tools and schemas, put into the engine's options, and what the engine writes, made into objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

from sharedllm_core import InputError

from .._formats import constraint_of

__all__ = ["structured_output", "tools_of"]


def tools_of(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """Tools of every kind that LangChain knows, in OpenAI's form."""
    return [_tool_of(tool) for tool in tools]


def structured_output(
    llm: Any,
    schema: Any,
    *,
    method: str = "json_schema",
    include_raw: bool = False,
    **kwargs: Any,
) -> Runnable[Any, Any]:
    """`with_structured_output` of a chat model, or of one with arguments bound to it; see that of `ChatSharedLLM`."""
    if method not in ("json_schema", "json_mode", "function_calling"):
        raise InputError(f"method={method!r} is not known; use 'json_schema', 'function_calling' or 'json_mode'")
    if schema is None and method != "json_mode":
        raise InputError(f"method={method!r} needs a schema; give one, or use method='json_mode'")
    told = {"kwargs": {"method": method}, "schema": schema} if schema is not None else None
    bound = {**kwargs, "ls_structured_output_format": told}
    parser: BaseOutputParser[Any]
    if method == "function_calling":
        answering = llm.bind_tools([schema], **{**bound, "tool_choice": "any"})
        parser = _parser_of_calls(schema)
    else:
        response_format = _response_format(schema)
        constraint_of(response_format)
        answering = llm.bind(response_format=response_format, **bound)
        parser = PydanticOutputParser(pydantic_object=schema) if _is_model(schema) else JsonOutputParser()
    if not include_raw:
        made: Runnable[Any, Any] = answering | parser
        return made
    parsed = RunnablePassthrough.assign(
        parsed=RunnableLambda(lambda given: given["raw"]) | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=answering) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _tool_of(tool: Any) -> dict[str, Any]:
    made = convert_to_openai_tool(tool)
    parameters = _schema_of(tool.tool_call_schema if isinstance(tool, BaseTool) and tool.args_schema else tool)
    if parameters is None or not _is_recursive(parameters):
        return made
    # LangChain writes out what a schema refers to, and leaves open what refers to itself.
    plain = {key: value for key, value in parameters.items() if key not in ("title", "description")}
    return {**made, "function": {**made["function"], "parameters": plain}}


def _schema_of(model: Any) -> dict[str, Any] | None:
    """The schema of a class of pydantic's, itself not a reference; `None` for anything else."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    schema = model.model_json_schema()
    named = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return {**schema["$defs"][named], "$defs": schema["$defs"]} if named else schema


def _is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether one of the schema's definitions leads back to itself."""
    leads = {f"#/$defs/{name}": _references(part) for name, part in schema.get("$defs", {}).items()}
    for name, ahead in leads.items():
        reached: set[str] = set()
        while ahead:
            reached |= ahead
            ahead = set().union(*(leads.get(other, set()) for other in ahead)) - reached  # noqa: PLW2901
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


def _parser_of_calls(schema: Any) -> BaseOutputParser[Any]:
    if _is_model(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    name = convert_to_openai_tool(schema)["function"]["name"]
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


def _response_format(schema: Any) -> dict[str, Any]:
    if schema is None:
        return {"type": "json_object"}
    as_json = _schema_of(schema) or convert_to_json_schema(schema)
    return {"type": "json_schema", "json_schema": {"name": as_json.get("title", "answer"), "schema": as_json}}

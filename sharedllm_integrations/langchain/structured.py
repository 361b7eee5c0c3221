"""LangChain's tools and schemas, put into the engine's options, and what the engine writes, made into objects."""

from collections.abc import Sequence
from typing import Any

from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass

from sharedllm_core import InputError

from .._formats import constraint_of

__all__ = ["structured_output", "tools_of"]


def tools_of(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """Tools of every kind that LangChain knows, in OpenAI's form."""
    return [convert_to_openai_tool(tool) for tool in tools]


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
    as_json = convert_to_json_schema(schema)
    return {"type": "json_schema", "json_schema": {"name": as_json.get("title", "answer"), "schema": as_json}}

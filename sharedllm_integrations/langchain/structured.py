"""LangChain's tools, put into the engine's options."""

from collections.abc import Sequence
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_tool

__all__ = ["tools_of"]


def tools_of(tools: Sequence[Any]) -> list[dict[str, Any]]:
    """Tools of every kind that LangChain knows, in OpenAI's form."""
    return [convert_to_openai_tool(tool) for tool in tools]

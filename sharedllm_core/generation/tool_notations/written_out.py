"""Tools described in words, for chat templates that do not describe them."""

import json
from typing import Any

from ..tools import Tools

__all__ = ["describe"]

_INTRODUCTION = (
    "You may call functions. Their signatures, as JSON, one a line:\n{tools}\n"
    "To call one, answer with nothing but\n"
    '<tool_call>\n{{"name":"its name","arguments":{{…}}}}\n</tool_call>'
)


def describe(tools: Tools) -> str:
    """Describe tools and the notation of Hermes."""
    return _INTRODUCTION.format(tools="\n".join(_compact(function) for function in tools.openai_format))


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

"""The call format that a tokenizer declares in its `response_template`, which transformers parses answers by."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ...text.tokenization import TextTokenizer
from .call_format import CallFormat
from .probing import PROBE_CALLS

__all__ = ["agrees_with_declaration", "declared_format"]

_KEYS = (("name", "arguments"), ("name", "parameters"), ("tool_name", "parameters"))


def agrees_with_declaration(call_format: CallFormat, tokenizer: TextTokenizer) -> bool:
    """Whether transformers parses calls in this format correctly; `True` for a tokenizer that declares nothing."""
    inner: Any = tokenizer.tokenizer
    if not getattr(inner, "response_template", None):
        return True
    calls = PROBE_CALLS[: 2 if call_format.parallel else 1]
    try:
        message = inner.parse_response(call_format.format_calls(calls), prefix="", tools=None)
    except (ValueError, KeyError, TypeError):
        return False
    parsed = message.get("tool_calls") or []
    parsed = parsed if isinstance(parsed, list) else [parsed]  # a field that does not repeat
    return [call.get("function", call) for call in parsed] == [call["function"] for call in calls]


def declared_format(tokenizer: TextTokenizer) -> CallFormat | None:
    """Build the declared call format; `None` if there is none whose calls are JSON between two fixed texts."""
    template = getattr(tokenizer.tokenizer, "response_template", None) or {}
    field = template.get("fields", {}).get("tool_calls", {})
    candidates = _candidates(field) if field.get("content") == "json" else iter(())
    return next((one for one in candidates if agrees_with_declaration(one, tokenizer)), None)


def _candidates(field: dict[str, Any]) -> Iterator[CallFormat]:
    """Iterate over formats of JSON objects, one after another or in a list, between the texts of a declared field."""
    opening, closing = field.get("open"), field.get("close", "")
    if not isinstance(opening, str) or not isinstance(closing, str):
        return
    for name, arguments in _KEYS:
        before, middle = f'{{"{name}": "', f'", "{arguments}": '
        objects = CallFormat(opening + before, middle, "}" + closing, parallel=bool(field.get("repeats")))
        in_list = CallFormat(before, middle, "}", start=f"{opening}[", between=", ", end=f"]{closing}")
        for candidate in (objects, in_list):
            yield replace(candidate, item_separator=", ", key_separator=": ")

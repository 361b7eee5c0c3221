"""`CallFormat`: the text of tool calls in parts that differ between models, written and parsed in one place.

    start  (before_name NAME before_arguments ARGUMENTS after_arguments)  between  (…)  end

Names stand as they are, arguments as a JSON object.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..tools import ToolCall

__all__ = ["CALL_ID", "HERMES", "CallFormat"]

#: Stands for the id of a call in the parts of a format.
CALL_ID = "\0"

_NAME = r"(?P<name>[\w.-]{1,128})"
_NO_ID = "000000000"  # where a notation demands the id of a call that has none
_ID = r"[\w-]*"
_ID_MEMBER = re.compile(rf'\s*,\s*"[^"]*"\s*:\s*"?{CALL_ID}"?')  # , "id": "…"


@dataclass(frozen=True)
class CallFormat:
    """The parts of the text of tool calls.

    Attributes:
        before_name, before_arguments, after_arguments: the parts of each call.
        start, end: text before the first and after the last call.
        between: text between two calls.
        parallel: whether an answer may contain several calls.
        item_separator, key_separator: of the JSON of the arguments.
    """

    before_name: str
    before_arguments: str
    after_arguments: str
    start: str = ""
    between: str = ""
    end: str = ""
    parallel: bool = True
    item_separator: str = ","
    key_separator: str = ":"

    @property
    def opening(self) -> str:
        """The text before the first name."""
        return self.start + self.before_name

    @property
    def after_arguments_without_id(self) -> str:
        """`after_arguments` without a JSON member for the id of the call, which a model may leave out."""
        return _ID_MEMBER.sub("", self.after_arguments)

    def format_calls(self, calls: Sequence[Mapping[str, Any]]) -> str:
        """Format calls of an earlier message, given in OpenAI's format, as the model would generate them."""
        after = self.after_arguments_without_id
        texts = []
        for call in calls:
            function = call.get("function", call)
            head = f"{self.before_name}{function['name']}{self.before_arguments}"
            text = f"{head}{self._json(function['arguments'])}{after}"
            texts.append(text.replace(CALL_ID, call.get("id") or _NO_ID))
        return f"{self.start}{self.between.join(texts)}{self.end}"

    def parse_calls(self, text: str) -> tuple[ToolCall, ...]:
        """Parse the complete calls in a text; a truncated last call is dropped."""
        calls: list[ToolCall] = []
        opened = self._first.search(text)
        while opened:
            try:
                arguments, end = json.JSONDecoder().raw_decode(text, opened.end())
            except ValueError:
                break
            closed = self._after.match(text, end)
            if not closed:
                break
            calls.append(ToolCall(opened["name"], arguments))
            opened = self._next.match(text, closed.end())
        return tuple(calls)

    def _json(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(self.item_separator, self.key_separator))

    @cached_property
    def _first(self) -> re.Pattern[str]:
        return re.compile(_pattern(self.opening) + _NAME + _pattern(self.before_arguments))

    @cached_property
    def _next(self) -> re.Pattern[str]:
        return re.compile(_pattern(self.between + self.before_name) + _NAME + _pattern(self.before_arguments))

    @cached_property
    def _after(self) -> re.Pattern[str]:
        return re.compile(f"{_pattern(self.after_arguments)}|{_pattern(self.after_arguments_without_id)}")


def _pattern(text: str) -> str:
    """Return a pattern of the text in which white space may vary: decoders put or drop spaces beside tokens."""
    words = [re.escape(word).replace(re.escape(CALL_ID), _ID) for word in text.split()]
    return "".join(rf"\s*{word}" for word in words) + r"\s*"


#: Written into the messages of models whose template has no notation that can be detected.
HERMES = CallFormat('<tool_call>\n{"name":"', '","arguments":', "}\n</tool_call>", between="\n")

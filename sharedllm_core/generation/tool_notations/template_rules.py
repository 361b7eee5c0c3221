"""What a chat template demands of messages with tool calls and results."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ...errors import InputError

__all__ = ["IdRule", "TemplateRules"]

_NINE_CHARACTERS = re.compile(r"[a-zA-Z0-9]{9}")
_Message = Mapping[str, Any]


class IdRule(Enum):
    """What a template demands of the ids of calls and results."""

    NONE = "none"
    NINE_CHARACTERS = "nine letters and digits, as in Mistral's templates"

    def apply(self, call_id: str) -> str:
        """Return an id that the template accepts; the same id always gives the same one."""
        if self is IdRule.NONE or _NINE_CHARACTERS.fullmatch(call_id):
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[:9]


@dataclass(frozen=True)
class TemplateRules:
    """What a chat template demands of messages with tool calls and results.

    Attributes:
        ids: the ids of calls and results.
        arguments_as_text: whether arguments must be JSON text; otherwise they are an object.
        parallel: whether a message may have several calls.
    """

    ids: IdRule = IdRule.NONE
    arguments_as_text: bool = False
    parallel: bool = True

    def prepare(self, messages: Sequence[_Message]) -> list[_Message]:
        """Rewrite messages such that the template renders their calls and results.

        Raises:
            InputError: a message has several calls and the template renders only one.
        """
        prepared: list[_Message] = []
        waiting: list[str] = []  # ids of calls whose results have not come yet
        count = 0
        for message in messages:
            calls = message.get("tool_calls") or []
            if calls:
                waiting = [call.get("id") or f"call{count + number:05d}" for number, call in enumerate(calls)]
                count += len(calls)
                prepared.append(self._calls(message, waiting))
            else:
                prepared.append(self._result(message, waiting) if message["role"] == "tool" else message)
        return prepared

    def _calls(self, message: _Message, ids: Sequence[str]) -> _Message:
        calls = message["tool_calls"]
        if len(calls) > 1 and not self.parallel:
            raise InputError(
                f"a message has {len(calls)} tool calls",
                limit="and the tokenizer's chat template renders only one per message",
                remedy="give each call a message of its own, followed by its result",
            )
        prepared = [self._call(call, call_id) for call, call_id in zip(calls, ids, strict=True)]
        return {**message, "tool_calls": prepared}

    def _call(self, call: _Message, call_id: str) -> _Message:
        prepared = dict(call)
        if self.ids is not IdRule.NONE:
            prepared["id"] = self.ids.apply(call_id)
        if self.arguments_as_text:
            function = call["function"]
            text = json.dumps(function["arguments"], ensure_ascii=False)
            prepared["function"] = {**function, "arguments": text}
        return prepared

    def _result(self, message: _Message, waiting: list[str]) -> _Message:
        if self.ids is IdRule.NONE:
            return message
        call_id = message.get("tool_call_id") or (waiting[0] if waiting else "result")
        if call_id in waiting:
            waiting.remove(call_id)
        return {**message, "tool_call_id": self.ids.apply(call_id)}

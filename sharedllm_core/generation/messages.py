"""Messages of a conversation: checked, in one form, and split into turns."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ..errors import InputError
from ..text.unicode import well_formed_values
from .question import question_text

__all__ = ["Message", "merge_neighbours", "normalize", "query_text", "split_turns"]

#: A message: `role` (system, user, assistant, tool) and `content`; an assistant message may have OpenAI's `tool_calls`,
#: and its thoughts as `reasoning_content`.
Message = Mapping[str, Any]

_ROLES = ("system", "user", "assistant", "tool")
_OPTIONAL_FIELDS = ("tool_calls", "tool_call_id", "name", "reasoning_content")
_TRAILING = " \t\n?!.,;:…\"'”’»)]"


def query_text(messages: str | Sequence[Message]) -> str:
    """Return the last question, as selection compares it: without chat template and trailing punctuation.

    Of a long message, what it asks (`question_text`). A selection vector may be the last token's, and "?" is the last
    token of every question.
    """
    conversation = normalize(messages)
    with_text = [m for m in conversation if m["content"].strip()]
    message = next((m["content"] for m in reversed(with_text) if m["role"] == "user"), with_text[-1]["content"])
    question = question_text(message)
    return question.rstrip(_TRAILING) or question


def normalize(messages: str | Sequence[Message]) -> list[Message]:
    """Return messages with known roles, calls in OpenAI's format, and none of one role beside each other.

    Raises:
        InputError: no messages, an invalid message or an empty question.
    """
    messages = well_formed_values(messages)
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not messages:
        raise InputError("there are no messages", remedy="give a question")
    for message in messages:
        if not isinstance(message, Mapping) or not all(isinstance(message.get(n), str) for n in ("role", "content")):
            raise InputError(f"{message!r:.100} is no message", remedy="give {'role': 'user', 'content': '…'}")
        if not isinstance(message.get("reasoning_content") or "", str):
            raise InputError(f"the reasoning_content of {message!r:.100} is no text", remedy="give a string")
    if not messages[-1]["content"].strip() and messages[-1]["role"] != "tool":
        raise InputError("the last message is empty", remedy="give a question")
    return merge_neighbours([_normalize_role(message) for message in messages])


def _normalize_role(message: Message) -> Message:
    role, content = message["role"], message["content"]
    if role in _ROLES:
        optional = {name: message[name] for name in _OPTIONAL_FIELDS if message.get(name)}
        if "tool_calls" in optional:
            optional["tool_calls"] = [_normalize_call(call) for call in optional["tool_calls"]]
        return {"role": role, "content": content, **optional}
    return {"role": "user", "content": f"{role}: {content}"}


def _normalize_call(call: Any) -> dict[str, Any]:
    """Convert a call to OpenAI's format with the arguments as an object, as chat templates expect it."""
    function = call.get("function", call) if isinstance(call, Mapping) else {}
    if not isinstance(function.get("name"), str):
        raise InputError(f"{call!r:.100} is no tool call", remedy="give {'function': {'name': …, 'arguments': {…}}}")
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = well_formed_values(json.loads(arguments))  # escapes may stand for surrogates
        except ValueError as error:
            raise InputError(f"the arguments {arguments!r:.100} of a call are no JSON: {error}") from error
    call_id = {"id": call["id"]} if "id" in call else {}
    return {**call_id, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def merge_neighbours(messages: list[Message]) -> list[Message]:
    """Merge consecutive messages of one role: strict chat templates reject two in a row."""
    merged: list[Message] = []
    for role, group in groupby(messages, key=lambda message: message["role"]):
        neighbours = list(group)
        if role == "tool" or any("tool_calls" in message for message in neighbours):
            merged += neighbours  # each result belongs to its own call
        else:
            joined = {"role": role, "content": "\n\n".join(message["content"] for message in neighbours)}
            thoughts = [message["reasoning_content"] for message in neighbours if "reasoning_content" in message]
            merged.append({**joined, "reasoning_content": "\n\n".join(thoughts)} if thoughts else joined)
    return merged


def split_turns(messages: list[Message]) -> list[list[Message]]:
    """Split messages into turns, each of which begins with a user message."""
    turns: list[list[Message]] = [[]]
    for message in messages:
        if message["role"] == "user" and any(earlier["role"] != "system" for earlier in turns[-1]):
            turns.append([])
        turns[-1].append(message)
    return turns

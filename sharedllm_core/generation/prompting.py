"""Messages to running text that fits the base model's window; what does not fit is named, to go to the past context.

Calls of tools and what tools returned are messages like any other; a chat template that knows none gets them in words.
Nothing is dropped: turns that must leave the running text, the oldest first, come back in `Prompt.moved`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor

from ..errors import InputError, WindowError, setting
from ..text.tokenization import TextTokenizer
from .tools import ToolNotation, Tools

__all__ = ["Message", "Prompt", "build_prompt", "query_text", "rendered", "rendered_ids", "unasked_ids"]

#: A message: `role` (system, user, assistant, tool) and `content`; an assistant's may have OpenAI's `tool_calls`.
Message = Mapping[str, Any]

_ROLES = ("system", "user", "assistant", "tool")
_OPTIONAL = ("tool_calls", "tool_call_id", "name")
_TRAILING = " \t\n?!.,;:…\"'”’»)]"


@dataclass(frozen=True)
class Prompt:
    """Running text, ready for the model.

    Attributes:
        ids: token ids [n] of the messages that stay, by the tokenizer's chat template.
        query_ids: token ids of the question that selection looks at.
        moved: messages that did not fit, oldest first; they belong into the past context.
    """

    ids: Tensor
    query_ids: Tensor
    moved: list[Message]


def build_prompt(
    messages: str | Sequence[Message],
    tokenizer: TextTokenizer,
    window_tokens: int,
    new_tokens: int,
    tools: Tools | None = None,
) -> Prompt:
    """The running text of a conversation.

    Args:
        messages: a question, or messages of which the last is to be answered.
        tokenizer: the model's.
        window_tokens: of the base model.
        new_tokens: room to leave for the answer.
        tools: told to the model.

    Raises:
        InputError: no messages, or an empty question.
        WindowError: system messages and the last turn alone are more than the window holds.
    """
    conversation = _read(messages)
    room = window_tokens - new_tokens
    turns = _turns(conversation)
    for oldest in range(len(turns)):
        kept = [message for turn in turns[oldest:] for message in turn]
        system = [message for turn in turns[:oldest] for message in turn if message["role"] == "system"]
        ids = rendered_ids(rendered(_merged(system + kept), tokenizer, tools), tokenizer)
        if len(ids) <= room:
            moved = [message for turn in turns[:oldest] for message in turn if message["role"] != "system"]
            query = tokenizer.encode(query_text(conversation)).ids
            return Prompt(ids, query, moved)
    raise WindowError(
        f"the last turn{_with_tools(tools)} has {len(ids)} tokens, with {new_tokens} to generate",
        limit=f"and the base model's window is {window_tokens}",
        remedy=["give long text as documents", f"lower {setting('max_new_tokens')}"],
    )


def _with_tools(tools: Tools | None) -> str:
    return f" and the description of {len(tools.functions)} tools" if tools else ""


def unasked_ids(tokenizer: TextTokenizer) -> Tensor:
    """Ids [n] of the running text of an empty question."""
    return rendered_ids(rendered([{"role": "user", "content": ""}], tokenizer), tokenizer)


def query_text(messages: str | Sequence[Message]) -> str:
    """The last question, as selection looks at it: no template, no trailing punctuation.

    A selection vector is a last token's, and "?" is the last token of every question.
    """
    conversation = _read(messages)
    said = [m for m in conversation if m["content"].strip()]  # the last message is none of the others
    asked = next((m["content"] for m in reversed(said) if m["role"] == "user"), said[-1]["content"])
    return asked.rstrip(_TRAILING) or asked


def _read(messages: str | Sequence[Message]) -> list[Message]:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not messages:
        raise InputError("there are no messages", remedy="give a question")
    for message in messages:
        if not isinstance(message, Mapping) or not all(isinstance(message.get(n), str) for n in ("role", "content")):
            raise InputError(f"{message!r:.100} is no message", remedy="give {'role': 'user', 'content': '…'}")
    if not messages[-1]["content"].strip() and messages[-1]["role"] != "tool":
        raise InputError("the last message is empty", remedy="give a question")
    return _merged([_known_role(message) for message in messages])


def _known_role(message: Message) -> Message:
    role, content = message["role"], message["content"]
    if role in _ROLES:
        more = {name: message[name] for name in _OPTIONAL if message.get(name)}
        if "tool_calls" in more:
            more["tool_calls"] = [_known_call(call) for call in more["tool_calls"]]
        return {"role": role, "content": content, **more}
    return {"role": "user", "content": f"{role}: {content}"}


def _known_call(call: Any) -> dict[str, Any]:
    """A call in OpenAI's form, with arguments as an object, as chat templates take it."""
    function = call.get("function", call) if isinstance(call, Mapping) else {}
    if not isinstance(function.get("name"), str):
        raise InputError(
            f"{call!r:.100} is no call of a tool", remedy="give {'function': {'name': …, 'arguments': {…}}}"
        )
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise InputError(f"the arguments {arguments!r:.100} of a call are no JSON: {error}") from error
    named = {"id": call["id"]} if "id" in call else {}
    return {**named, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _merged(messages: list[Message]) -> list[Message]:
    """Neighbours of one role as one message: strict templates take no two in a row."""
    merged: list[Message] = []
    for role, group in groupby(messages, key=lambda message: message["role"]):
        said = list(group)
        if role == "tool" or any("tool_calls" in message for message in said):
            merged += said  # each result belongs to its call
        else:
            merged.append({"role": role, "content": "\n\n".join(message["content"] for message in said)})
    return merged


def _turns(messages: list[Message]) -> list[list[Message]]:
    """Messages by turn: each begins with what the user says."""
    turns: list[list[Message]] = [[]]
    for message in messages:
        if message["role"] == "user" and any(earlier["role"] != "system" for earlier in turns[-1]):
            turns.append([])
        turns[-1].append(message)
    return turns


def rendered(messages: Sequence[Message], tokenizer: TextTokenizer, tools: Tools | None = None) -> str:
    """The running text of messages, by the tokenizer's chat template, up to where the answer begins.

    What system and tool messages say becomes part of what the user says, where the template knows no such roles.

    Raises:
        InputError: the template refuses the messages all the same.
    """
    notation = ToolNotation.of(tokenizer)
    told = tools if tools and tools.choice != "none" else None
    if not notation.in_template:
        messages, told = _in_words(messages, notation, told), None
    if getattr(tokenizer.tokenizer, "chat_template", None):
        try:
            return _by_template(messages, tokenizer, told)
        except TemplateError:
            try:
                return _by_template(_said_by_user(messages), tokenizer, told)
            except TemplateError as error:
                roles = ", ".join(message["role"] for message in messages)
                raise InputError(
                    f"the tokenizer's chat template refuses messages of the roles {roles}: {error}",
                    remedy="begin with a user's message, and let the roles take turns",
                ) from error
    return "".join(f"{m['role'].capitalize()}: {m['content']}\n\n" for m in messages) + "Assistant:"


def _in_words(messages: Sequence[Message], notation: ToolNotation, tools: Tools | None) -> list[Message]:
    """Messages for a template that knows neither tools nor calls."""
    said: list[Message] = [{"role": "system", "content": notation.told(tools)}] if tools else []
    for message in messages:
        calls = message.get("tool_calls")
        parts = [message["content"], notation.written(calls) if calls else ""]
        said.append({"role": message["role"], "content": "\n".join(part for part in parts if part)})
    return _merged(said)


def _by_template(messages: Sequence[Message], tokenizer: TextTokenizer, tools: Tools | None) -> str:
    inner: Any = tokenizer.tokenizer
    listed = {"tools": tools.listed} if tools else {}
    text: str = inner.apply_chat_template(
        [dict(message) for message in messages], tokenize=False, add_generation_prompt=True, **listed
    )
    return text


def _said_by_user(messages: Sequence[Message]) -> list[Message]:
    told = {"system": "{}", "tool": "tool: {}"}
    return _merged(
        [
            {"role": "user", "content": told[m["role"]].format(m["content"])} if m["role"] in told else m
            for m in messages
        ]
    )


def rendered_ids(text: str, tokenizer: TextTokenizer) -> Tensor:
    """Ids [n] of rendered running text, or a part of it: the template's special tokens are tokens, not text."""
    return torch.tensor(tokenizer.tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.long)

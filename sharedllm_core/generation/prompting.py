"""Prompts: messages to running text that fits into the base model's window.

Nothing is truncated: the oldest turns that do not fit are returned in `Prompt.moved`, to become past context. Tool
calls and tool results are messages like any other; for a chat template without tool support they are written out as
text.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from jinja2 import TemplateError
from torch import Tensor

from ..errors import InputError, WindowError, setting
from ..text.tokenization import TextTokenizer
from ..text.unicode import well_formed_values
from .control_tokens import ControlTokens, render_as_text
from .running_text import RunningText, tokenize
from .thoughts import PromptThoughts, ThoughtNotation
from .tool_notations.notation import ToolNotation
from .tools import Tools

__all__ = [
    "Message",
    "Prompt",
    "build_prompt",
    "empty_question_ids",
    "query_text",
    "render",
    "render_running_text",
    "running_text_ids",
]

#: A message: `role` (system, user, assistant, tool) and `content`; an assistant message may have OpenAI's `tool_calls`,
#: and its thoughts as `reasoning_content`.
Message = Mapping[str, Any]

_ROLES = ("system", "user", "assistant", "tool")
_OPTIONAL_FIELDS = ("tool_calls", "tool_call_id", "name", "reasoning_content")
_TRAILING = " \t\n?!.,;:…\"'”’»)]"


@dataclass(frozen=True)
class Prompt:
    """Tokenized running text.

    Attributes:
        ids: token ids [n] of the messages that fit, rendered by the tokenizer's chat template.
        query_ids: token ids [m] of the question, for selection.
        moved: messages that did not fit, oldest first; they become past context.
        messages: the messages that fit.
        question: the text of the question, for search.
        thinking: whether the model thinks before it answers; `None` for the template's default.
        thoughts: which part of the thoughts the running text holds already.
    """

    ids: Tensor
    query_ids: Tensor
    moved: list[Message]
    messages: list[Message]
    question: str
    thinking: bool | None = None
    thoughts: PromptThoughts = "none"


def build_prompt(
    messages: str | Sequence[Message],
    tokenizer: TextTokenizer,
    window_tokens: int,
    new_tokens: int,
    tools: Tools | None = None,
    thinking: bool | None = None,
) -> Prompt:
    """Build the running text of a conversation, keeping as many of the last turns as fit into the window.

    Args:
        messages: a question, or messages of which the last is to be answered.
        tokenizer: the model's tokenizer.
        window_tokens: window of the base model, in tokens.
        new_tokens: tokens to reserve for the answer.
        tools: tools to describe to the model.
        thinking: whether the model thinks before it answers; `None` for the template's default.

    Raises:
        InputError: no messages, an invalid message or an empty question.
        WindowError: the system messages and the last turn alone do not fit.
    """
    conversation = _normalize(messages)
    prompt_budget = window_tokens - new_tokens
    turns = _split_turns(conversation)
    for oldest in range(len(turns)):
        kept = [message for turn in turns[oldest:] for message in turn]
        system = [message for turn in turns[:oldest] for message in turn if message["role"] == "system"]
        messages = _merge_neighbours(system + kept)
        text = render_running_text(messages, tokenizer, tools, thinking)
        ids = running_text_ids(text, tokenizer)
        if len(ids) <= prompt_budget:
            moved = [message for turn in turns[:oldest] for message in turn if message["role"] != "system"]
            question = query_text(conversation)
            thoughts = ThoughtNotation.for_tokenizer(tokenizer).in_prompt(text.text)
            query_ids = tokenizer.encode(question).ids
            return Prompt(ids, query_ids, moved, messages, question, thinking, thoughts)
    raise WindowError(
        f"the last turn{_mention(tools)} has {len(ids)} tokens, with {new_tokens} to generate",
        limit=f"and the base model's window is {window_tokens}",
        remedy=["give long text as documents", f"lower {setting('max_new_tokens')}"],
    )


def _mention(tools: Tools | None) -> str:
    return f" and the description of {len(tools.functions)} tools" if tools else ""


def empty_question_ids(tokenizer: TextTokenizer, thinking: bool | None = None) -> Tensor:
    """Tokenize the running text of an empty question; ids [n]."""
    messages = [{"role": "user", "content": ""}]
    return running_text_ids(render_running_text(messages, tokenizer, thinking=thinking), tokenizer)


def query_text(messages: str | Sequence[Message]) -> str:
    """Return the last question, as selection compares it: without chat template and trailing punctuation.

    A selection vector may be the last token's, and "?" is the last token of every question.
    """
    conversation = _normalize(messages)
    with_text = [m for m in conversation if m["content"].strip()]
    question = next((m["content"] for m in reversed(with_text) if m["role"] == "user"), with_text[-1]["content"])
    return question.rstrip(_TRAILING) or question


def _normalize(messages: str | Sequence[Message]) -> list[Message]:
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
    return _merge_neighbours([_normalize_role(message) for message in messages])


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
            arguments = json.loads(arguments)
        except ValueError as error:
            raise InputError(f"the arguments {arguments!r:.100} of a call are no JSON: {error}") from error
    call_id = {"id": call["id"]} if "id" in call else {}
    return {**call_id, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _merge_neighbours(messages: list[Message]) -> list[Message]:
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


def _split_turns(messages: list[Message]) -> list[list[Message]]:
    """Split messages into turns, each of which begins with a user message."""
    turns: list[list[Message]] = [[]]
    for message in messages:
        if message["role"] == "user" and any(earlier["role"] != "system" for earlier in turns[-1]):
            turns.append([])
        turns[-1].append(message)
    return turns


def render(
    messages: Sequence[Message], tokenizer: TextTokenizer, tools: Tools | None = None, thinking: bool | None = None
) -> str:
    """Render messages as `render_running_text` does, and return the text alone."""
    return render_running_text(messages, tokenizer, tools, thinking).text


def render_running_text(
    messages: Sequence[Message], tokenizer: TextTokenizer, tools: Tools | None = None, thinking: bool | None = None
) -> RunningText:
    """Render messages as running text by the tokenizer's chat template, up to the beginning of the answer.

    If the template rejects system or tool messages, their text is merged into the user's messages. Control tokens come
    from the template alone: what looks like one in a message or a tool stays text. Thoughts of earlier messages reach
    the template only if it knows `reasoning_content`; others are left out, as reasoning models expect it.

    Raises:
        InputError: the template rejects these messages as well, or cannot render several calls of one message.
    """
    messages = ToolNotation.for_tokenizer(tokenizer).prepare(messages)
    notation = ThoughtNotation.for_tokenizer(tokenizer)
    left_out = {"role"} if notation.renders_thoughts else {"role", "reasoning_content"}
    roles = [message["role"] for message in messages]
    texts = [{name: value for name, value in message.items() if name not in left_out} for message in messages]
    variables = notation.template_options(thinking)
    described = tools if tools and tools.choice != "none" else None

    def render_marked(conversation: tuple[list[Any], tuple[Any, ...]]) -> str:
        texts, functions = conversation
        marked = [{"role": role, **text} for role, text in zip(roles, texts, strict=True)]
        tools = replace(described, functions=functions) if described else None
        return _render_plain(marked, tokenizer, tools, variables)

    return render_as_text(
        (texts, described.functions if described else ()),
        render_marked,
        ControlTokens.for_tokenizer(tokenizer),
        str(getattr(tokenizer.tokenizer, "chat_template", None) or ""),
    )


def _render_plain(
    messages: Sequence[Message], tokenizer: TextTokenizer, tools: Tools | None, variables: Mapping[str, Any]
) -> str:
    notation = ToolNotation.for_tokenizer(tokenizer)
    if notation.rules is None:
        messages, tools = _write_out_tools(messages, notation, tools), None
    if getattr(tokenizer.tokenizer, "chat_template", None):
        try:
            return _apply_template(messages, tokenizer, tools, variables)
        except TemplateError:
            try:
                return _apply_template(_as_user_messages(messages), tokenizer, tools, variables)
            except TemplateError as error:
                roles = ", ".join(message["role"] for message in messages)
                raise InputError(
                    f"the tokenizer's chat template refuses messages of the roles {roles}: {error}",
                    remedy=[
                        "begin with a user's message, and let the roles take turns",
                        *(["describe each tool and each of its parameters"] if tools else []),
                    ],
                ) from error
    return "".join(f"{m['role'].capitalize()}: {m['content']}\n\n" for m in messages) + "Assistant:"


def _write_out_tools(messages: Sequence[Message], notation: ToolNotation, tools: Tools | None) -> list[Message]:
    """Write tools and calls into the messages' text, for a template that supports neither."""
    plain: list[Message] = [{"role": "system", "content": notation.describe(tools)}] if tools else []
    for message in messages:
        calls = message.get("tool_calls")
        parts = [message["content"], notation.format_calls(calls) if calls else ""]
        plain.append({"role": message["role"], "content": "\n".join(part for part in parts if part)})
    return _merge_neighbours(plain)


def _apply_template(
    messages: Sequence[Message], tokenizer: TextTokenizer, tools: Tools | None, variables: Mapping[str, Any]
) -> str:
    inner: Any = tokenizer.tokenizer
    template_tools = {"tools": tools.openai_format} if tools else {}
    text: str = inner.apply_chat_template(
        [dict(message) for message in messages],
        tokenize=False,
        add_generation_prompt=True,
        **template_tools,
        **variables,
    )
    return text


def _as_user_messages(messages: Sequence[Message]) -> list[Message]:
    formats = {"system": "{}", "tool": "tool: {}"}
    return _merge_neighbours(
        [
            {"role": "user", "content": formats[m["role"]].format(m["content"])} if m["role"] in formats else m
            for m in messages
        ]
    )


def running_text_ids(text: RunningText | str, tokenizer: TextTokenizer) -> Tensor:
    """Tokenize rendered running text or a part of it; ids [n]. The template's control tokens become token ids.

    In a `str`, control tokens are parsed wherever they stand, also in messages.
    """
    return tokenize(RunningText((text,)) if isinstance(text, str) else text, tokenizer)

"""Prompts: messages to running text that fits into the base model's window.

Nothing is truncated: the oldest turns that do not fit are returned in `Prompt.moved`, to become past context. Tool
calls and tool results are messages like any other; for a chat template without tool support they are written out as
text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import TemplateError
from torch import Tensor

from ..errors import InputError, WindowError, setting
from ..text.tokenization import TextTokenizer
from ..text.unicode import well_formed
from .control_tokens import ControlTokens, render_as_text
from .messages import Message, merge_neighbours, normalize, query_text, split_turns
from .running_text import RunningText, tokenize
from .thoughts import PromptThoughts, ThoughtNotation
from .tool_notations.notation import ToolNotation
from .tools import Tools

__all__ = [
    "Prompt",
    "PromptSize",
    "build_prompt",
    "count_prompt_tokens",
    "empty_question_ids",
    "render",
    "render_running_text",
    "running_text_ids",
]


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


@dataclass(frozen=True, kw_only=True)
class PromptSize:
    """How much of the model's window a conversation needs, in tokens.

    Attributes:
        tokens: of all messages and tools as running text, without passages of documents.
        max_tokens: the most tokens of running text beside the answer.
        window_tokens: the model's window.
        quote_tokens: the most tokens of passages to quote; they need room in `max_tokens` as well.
    """

    tokens: int
    max_tokens: int
    window_tokens: int
    quote_tokens: int

    @property
    def fits(self) -> bool:
        """Whether all of it fits the window, and nothing has to become past context."""
        return self.tokens <= self.max_tokens


def count_prompt_tokens(
    messages: str | Sequence[Message],
    tokenizer: TextTokenizer,
    tools: Tools | None = None,
    thinking: bool | None = None,
) -> int:
    """Count the tokens of a whole conversation as running text.

    Raises:
        InputError: no messages, an invalid message or an empty question.
    """
    text = render_running_text(normalize(messages), tokenizer, tools, thinking)
    return len(running_text_ids(text, tokenizer))


def build_prompt(
    messages: str | Sequence[Message],
    tokenizer: TextTokenizer,
    window_tokens: int,
    new_tokens: int,
    tools: Tools | None = None,
    thinking: bool | None = None,
    quote_tokens: int = 0,
) -> Prompt:
    """Build the running text of a conversation, keeping as many of the last turns as fit into the window.

    Args:
        messages: a question, or messages of which the last is to be answered.
        tokenizer: the model's tokenizer.
        window_tokens: window of the base model, in tokens.
        new_tokens: tokens to reserve for the answer.
        tools: tools to describe to the model.
        thinking: whether the model thinks before it answers; `None` for the template's default.
        quote_tokens: tokens to reserve for passages, at most half of the room, once a turn has to be moved: what was
            moved is read by its passages.

    Raises:
        InputError: no messages, an invalid message or an empty question.
        WindowError: the system messages and the last turn alone do not fit.
    """
    conversation = normalize(messages)
    prompt_budget = window_tokens - new_tokens
    turns = split_turns(conversation)
    for oldest in range(len(turns)):
        is_last = oldest == len(turns) - 1
        reserved = 0 if is_last or not oldest else min(quote_tokens, prompt_budget // 2)
        kept = [message for turn in turns[oldest:] for message in turn]
        system = [message for turn in turns[:oldest] for message in turn if message["role"] == "system"]
        messages = merge_neighbours(system + kept)
        text = render_running_text(messages, tokenizer, tools, thinking)
        ids = running_text_ids(text, tokenizer)
        if len(ids) <= prompt_budget - reserved:
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
    return merge_neighbours(plain)


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
    return well_formed(text)


def _as_user_messages(messages: Sequence[Message]) -> list[Message]:
    formats = {"system": "{}", "tool": "tool: {}"}
    return merge_neighbours(
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

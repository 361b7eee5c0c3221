"""Messages to running text that fits the base model's window; what does not fit is named, to go to the past context.

Nothing is dropped: turns that must leave the running text, the oldest first, come back in `Prompt.moved`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor

from .errors import InputError, WindowError
from .tokenization import TextTokenizer

__all__ = ["Message", "Prompt", "build_prompt", "query_text", "rendered", "rendered_ids", "unasked_ids"]

#: A message: `role` (system, user, assistant, tool) and `content`.
Message = Mapping[str, str]

_ROLES = ("system", "user", "assistant", "tool")
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
    messages: str | Sequence[Message], tokenizer: TextTokenizer, window_tokens: int, new_tokens: int
) -> Prompt:
    """The running text of a conversation.

    Args:
        messages: a question, or messages of which the last is to be answered.
        tokenizer: the model's.
        window_tokens: of the base model.
        new_tokens: room to leave for the answer.

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
        ids = _ids(_merged(system + kept), tokenizer)
        if len(ids) <= room:
            moved = [message for turn in turns[:oldest] for message in turn if message["role"] != "system"]
            query = tokenizer.encode(query_text(conversation)).ids
            return Prompt(ids, query, moved)
    raise WindowError(
        f"the last turn has {len(ids)} tokens, with {new_tokens} to generate, and the base model's window is "
        f"{window_tokens}; give long text as documents, or ask for fewer new tokens"
    )


def unasked_ids(tokenizer: TextTokenizer) -> Tensor:
    """Ids [n] of the running text of an empty question."""
    return _ids([{"role": "user", "content": ""}], tokenizer)


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
        raise InputError("there are no messages; give a question")
    for message in messages:
        if not isinstance(message, Mapping) or not all(isinstance(message.get(n), str) for n in ("role", "content")):
            raise InputError(f"{message!r:.100} is no message; give {{'role': 'user', 'content': '…'}}")
    if not messages[-1]["content"].strip():
        raise InputError("the last message is empty; give a question")
    return _merged([_known_role(message) for message in messages])


def _known_role(message: Message) -> Message:
    role, content = message["role"], message["content"]
    if role in _ROLES:
        return {"role": role, "content": content}
    return {"role": "user", "content": f"{role}: {content}"}


def _merged(messages: list[Message]) -> list[Message]:
    """Neighbours of one role as one message: strict templates take no two in a row."""
    return [
        {"role": role, "content": "\n\n".join(message["content"] for message in group)}
        for role, group in groupby(messages, key=lambda message: message["role"])
    ]


def _turns(messages: list[Message]) -> list[list[Message]]:
    """Messages by turn: each begins with what the user says."""
    turns: list[list[Message]] = [[]]
    for message in messages:
        if message["role"] == "user" and any(earlier["role"] != "system" for earlier in turns[-1]):
            turns.append([])
        turns[-1].append(message)
    return turns


def rendered(messages: Sequence[Message], tokenizer: TextTokenizer) -> str:
    """The running text of messages, by the tokenizer's chat template, up to where the answer begins.

    What system and tool messages say becomes part of what the user says, where the template knows no such roles.

    Raises:
        InputError: the template refuses the messages all the same.
    """
    if getattr(tokenizer.tokenizer, "chat_template", None):
        try:
            return _by_template(messages, tokenizer)
        except TemplateError:
            try:
                return _by_template(_said_by_user(messages), tokenizer)
            except TemplateError as error:
                roles = ", ".join(message["role"] for message in messages)
                raise InputError(
                    f"the tokenizer's chat template refuses messages of the roles {roles}: {error}; "
                    "begin with a user's message, and let the roles take turns"
                ) from error
    return "".join(f"{m['role'].capitalize()}: {m['content']}\n\n" for m in messages) + "Assistant:"


def _by_template(messages: Sequence[Message], tokenizer: TextTokenizer) -> str:
    inner: Any = tokenizer.tokenizer
    text: str = inner.apply_chat_template([dict(m) for m in messages], tokenize=False, add_generation_prompt=True)
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


def _ids(messages: list[Message], tokenizer: TextTokenizer) -> Tensor:
    return rendered_ids(rendered(messages, tokenizer), tokenizer)

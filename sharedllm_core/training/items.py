"""One row of a batch: past context in chunks, a query for the selection policy, running text with labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError, setting
from ..generation.messages import query_text
from ..generation.prompting import build_prompt, render_running_text, running_text_ids
from ..method.config import SharedLLMConfig
from ..text.documents import Document
from ..text.library import make_library
from ..text.tokenization import TextTokenizer

__all__ = ["NO_LOSS", "Item", "Turn", "conversation_item", "count_running_tokens"]

NO_LOSS = -100


@dataclass(frozen=True)
class Item:
    """One row of a batch.

    Attributes:
        chunks: ids of each chunk of past context, none empty.
        query_ids: what the selection policy looks at.
        input_ids: ids [n] of the running text.
        labels: ids [n]; −100 where there is no loss.
    """

    chunks: list[Tensor]
    query_ids: Tensor
    input_ids: Tensor
    labels: Tensor


class Turn(NamedTuple):
    """A question, a text or messages, and what should be answered."""

    question: Any
    answer: str


def conversation_item(
    texts: Sequence[str], turns: Sequence[Turn], tokenizer: TextTokenizer, method: SharedLLMConfig
) -> Item:
    """Documents and a conversation about them as a row, with loss on every answer.

    The selection policy sees all questions of the conversation, one after another.

    Raises:
        InputError: several turns, and a chat template that writes earlier turns otherwise than it had asked for them.
    """
    library = make_library([Document(text, id=str(i)) for i, text in enumerate(texts)], tokenizer, method)
    ids: list[Tensor] = []
    labels: list[Tensor] = []
    for prompt_ids, answer in _prompts(turns, tokenizer):
        answer_ids = _answer_ids(answer, tokenizer)
        ids += [prompt_ids, answer_ids]
        labels += [torch.full_like(prompt_ids, NO_LOSS), answer_ids]
    queries = [tokenizer.encode(query_text(turn.question)).ids for turn in turns]
    return Item([chunk.ids for chunk in library.chunks], torch.cat(queries), torch.cat(ids), torch.cat(labels))


def count_running_tokens(turns: Sequence[Turn], tokenizer: TextTokenizer) -> int:
    """Tokens of the running text of a row.

    Raises:
        InputError: a question that is no text and no messages; see also `conversation_item`.
    """
    return sum(len(ids) + len(_answer_ids(answer, tokenizer)) for ids, answer in _prompts(turns, tokenizer))


def _prompts(turns: Sequence[Turn], tokenizer: TextTokenizer) -> list[tuple[Tensor, str]]:
    """What stands before each answer and after the one before it, as ids, and the answer."""
    if len(turns) == 1:
        ids = build_prompt(turns[0].question, tokenizer, window_tokens=10**9, new_tokens=0).ids
        return [(ids, turns[0].answer)]
    prompts, messages, before = [], [], ""
    for turn in turns:
        messages.append({"role": "user", "content": turn.question})
        running_text = render_running_text(messages, tokenizer)
        text = running_text.text
        if not text.startswith(before):
            raise InputError(
                f"the chat template makes {text[: len(before)][-60:]!r} of what ended in {before[-60:]!r} when it "
                "was asked for, so a row can have one turn only",
                remedy=f"use {setting('questions_per_set', 1)} and rows without turns",
            )
        _, new = running_text.split_at(len(before))
        prompts.append((running_text_ids(new, tokenizer), turn.answer))
        messages.append({"role": "assistant", "content": turn.answer})
        before = text + turn.answer + (tokenizer.tokenizer.eos_token or "")
    return prompts


def _answer_ids(answer: str, tokenizer: TextTokenizer) -> Tensor:
    ids = tokenizer.encode(answer).ids
    end = tokenizer.tokenizer.eos_token_id
    return ids if end is None else torch.cat((ids, torch.tensor([end])))

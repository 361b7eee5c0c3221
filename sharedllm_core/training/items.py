"""One row of a batch: past context in chunks, a query for the selection policy, running text with labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..engine.quoting import Quoter
from ..errors import InputError, setting
from ..generation.messages import normalize, query_text
from ..generation.prompting import build_prompt, render_running_text, running_text_ids
from ..generation.quoting import QuoteTemplate
from ..method.config import SharedLLMConfig
from ..selection.policy import load_policy
from ..text.documents import Document
from ..text.library import Library, make_library
from ..text.search import token_relevance
from ..text.tokenization import TextTokenizer
from .row_reading import RowReading

__all__ = ["NO_LOSS", "Item", "RowDataset", "Turn", "conversation_item", "count_running_tokens"]

NO_LOSS = -100

_NO_LIMIT = 10**9  # tokens


@dataclass(frozen=True)
class Item:
    """One row of a batch.

    Attributes:
        chunks: ids of each chunk of past context, none empty.
        query_ids: what the selection policy looks at.
        input_ids: ids [n] of the running text.
        labels: ids [n]; −100 where there is no loss.
        compression_ratio: β of this row; `None` for that of the method.
        relevance: for each chunk the score [l] of each token by the text search, for a policy that searches text.
        teacher: ids [m] and labels [m] of the same answers behind a prompt with more of the text; `None` for no
            teacher.
    """

    chunks: list[Tensor]
    query_ids: Tensor
    input_ids: Tensor
    labels: Tensor
    compression_ratio: float | None = None
    relevance: list[np.ndarray] | None = None
    teacher: tuple[Tensor, Tensor] | None = None


class RowDataset(Dataset[Item]):
    """A dataset whose rows may be drawn anew in each pass."""

    def __len__(self) -> int:
        raise NotImplementedError

    def item(self, number: int, draw: str = "") -> Item:
        """Return a row; what is drawn in it is the same for the same `draw`."""
        raise NotImplementedError

    def __getitem__(self, number: int) -> Item:
        return self.item(number)


class Turn(NamedTuple):
    """A question, a text or messages, and what should be answered."""

    question: Any
    answer: str


def conversation_item(
    documents: Sequence[str | Document],
    turns: Sequence[Turn],
    tokenizer: TextTokenizer,
    method: SharedLLMConfig,
    reading: RowReading | None = None,
    max_running_tokens: int = _NO_LIMIT,
    teacher_tokens: int = 0,
) -> Item:
    """Documents and a conversation about them as a row, with loss on every answer.

    The selection policy and the search for passages see all questions of the conversation, one after another. Passages
    stand before the first question.

    Args:
        documents: texts, or documents with titles.
        turns: one or several.
        tokenizer: the model's.
        method: cuts documents into chunks.
        reading: how documents are read; by default they are injected.
        max_running_tokens: as many passages are quoted as leave room for questions and answers.
        teacher_tokens: the most tokens of passages that a teacher of the row reads; 0 for no teacher. A row that
            quotes as much itself has none.

    Raises:
        InputError: several turns, and a chat template that writes earlier turns otherwise than it had asked for them.
    """
    reading = reading or RowReading()
    given = [one if isinstance(one, Document) else Document(one, id=str(i)) for i, one in enumerate(documents)]
    library = make_library(given, tokenizer, method)
    asked = " ".join(query_text(turn.question) for turn in turns)

    def quoting(tokens: int) -> Sequence[Turn]:
        if not tokens or not library.num_tokens:
            return turns
        return _quoting(turns, asked, library, tokenizer, tokens, max_running_tokens)

    input_ids, labels = _ids_and_labels(quoting(reading.quote_tokens), tokenizer)
    is_taught = teacher_tokens > reading.quote_tokens and reading.inject
    searches = reading.inject and load_policy(method.policy).searches_text
    return Item(
        [chunk.ids for chunk in library.chunks] if reading.inject else [],
        torch.cat([tokenizer.encode(query_text(turn.question)).ids for turn in turns]),
        input_ids,
        labels,
        compression_ratio=reading.compression_ratio if reading.inject else None,
        relevance=token_relevance(asked, library) if searches else None,
        teacher=_ids_and_labels(quoting(teacher_tokens), tokenizer) if is_taught else None,
    )


def _ids_and_labels(turns: Sequence[Turn], tokenizer: TextTokenizer) -> tuple[Tensor, Tensor]:
    """The running text of a conversation [n], and its labels [n]."""
    ids: list[Tensor] = []
    labels: list[Tensor] = []
    for prompt_ids, answer in _prompts(turns, tokenizer):
        answer_ids = _answer_ids(answer, tokenizer)
        ids += [prompt_ids, answer_ids]
        labels += [torch.full_like(prompt_ids, NO_LOSS), answer_ids]
    return torch.cat(ids), torch.cat(labels)


def count_running_tokens(turns: Sequence[Turn], tokenizer: TextTokenizer) -> int:
    """Tokens of the running text of a row, without passages.

    Raises:
        InputError: a question that is no text and no messages; see also `conversation_item`.
    """
    return sum(len(ids) + len(_answer_ids(answer, tokenizer)) for ids, answer in _prompts(turns, tokenizer))


def _quoting(
    turns: Sequence[Turn],
    asked: str,
    library: Library,
    tokenizer: TextTokenizer,
    quote_tokens: int,
    max_running_tokens: int,
) -> list[Turn]:
    """The same turns with passages in the first question, as the engine quotes them."""
    room = max_running_tokens - count_running_tokens(turns, tokenizer)
    prompt = build_prompt(turns[0].question, tokenizer, window_tokens=_NO_LIMIT, new_tokens=0)
    quoter = Quoter(tokenizer, QuoteTemplate())
    quoted = quoter.quote(replace(prompt, question=asked), library, quote_tokens, len(prompt.ids) + room, None)
    return [Turn(quoted.messages, turns[0].answer), *turns[1:]]


def _prompts(turns: Sequence[Turn], tokenizer: TextTokenizer) -> list[tuple[Tensor, str]]:
    """What stands before each answer and after the one before it, as ids, and the answer."""
    if len(turns) == 1:
        ids = build_prompt(turns[0].question, tokenizer, window_tokens=_NO_LIMIT, new_tokens=0).ids
        return [(ids, turns[0].answer)]
    prompts, messages, before = [], [], ""
    for turn in turns:
        messages += normalize(turn.question)
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

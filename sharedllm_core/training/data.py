"""Datasets: what a model is trained on, item by item, the same for the same seed whatever was taken before.

An item is past context in chunks, a query for the selection policy, and running text with labels.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..documents import Document
from ..errors import ConfigError
from ..library import make_library
from ..prompting import build_prompt
from ..tokenization import TextTokenizer
from .rows import JsonRows
from .tasks import TaskSettings, generate_tasks
from .tasks.haystack import Text

__all__ = ["NO_LOSS", "InstructionDataset", "Item", "Passes", "TaskDataset", "TextDataset", "task_settings"]

NO_LOSS = -100
_QUERY_TOKENS = 64  # before the running text, for policies that look at a query
_CHARACTERS_PER_TOKEN = 8  # more than most texts have, so that a cut holds enough tokens
_PLANNED_CHARACTERS_PER_TOKEN = 3.5  # to count a text's sequences without tokenising it


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


class TextDataset(Dataset[Item]):
    """Language modelling: sequences cut from texts; the first part is past context, the rest running text with loss.

    Args:
        paths: files of JSON lines with `text`.
        tokenizer: the model's.
        sequence_tokens: of a sequence; the last of a text is shorter.
        past_tokens: of them, past context.
        chunk_tokens: of a chunk.

    Raises:
        DocumentError: see `JsonRows`.
    """

    def __init__(
        self,
        paths: Sequence[str],
        tokenizer: TextTokenizer,
        sequence_tokens: int,
        past_tokens: int,
        chunk_tokens: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._sequence_tokens = sequence_tokens
        self._past_tokens = past_tokens
        self._chunk_tokens = chunk_tokens
        self._stride = int(sequence_tokens * _PLANNED_CHARACTERS_PER_TOKEN)
        self._where: list[tuple[int, int]] = []  # row and character of each sequence
        lengths: list[int] = []

        def check(row: dict[str, Any]) -> str | None:
            if not isinstance(row.get("text"), str):
                return f'an object with {sorted(row)}; write one with a string "text"'
            if not row["text"].strip():
                return "text is empty; leave the row out"
            lengths.append(len(row["text"]))
            return None

        self._rows = JsonRows(paths, check)
        for row, length in enumerate(lengths):
            sequences = max(1, length // self._stride)
            self._where += [(row, number * self._stride) for number in range(sequences)]

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, number: int) -> Item:
        row, start = self._where[number]
        text = self._rows[row]["text"][start : start + self._sequence_tokens * _CHARACTERS_PER_TOKEN]
        ids = self._tokenizer.encode(text).ids[: self._sequence_tokens]
        past = min(self._past_tokens, len(ids) // 2)
        running = ids[past:]
        labels = running.clone()
        labels[0] = NO_LOSS  # nothing in the running text comes before it
        chunks = list(ids[:past].split(self._chunk_tokens)) if past else []
        return Item(chunks, ids[:past][-_QUERY_TOKENS:], running, labels)


class InstructionDataset(Dataset[Item]):
    """Instruction tuning: documents, a question and its answer per row; loss on the answer.

    Args:
        paths: files of JSON lines with `documents` (texts, or objects with `text`), `question` (a text, or messages)
            and `answer`.
        tokenizer: the model's.
        chunk_tokens: of a chunk.
        max_past_tokens: the most tokens of documents; more is refused, and nothing is cut.
        max_running_tokens: the most tokens of prompt and answer.

    Raises:
        DocumentError: see `JsonRows`; or documents that are too long, with file and line.
    """

    def __init__(
        self,
        paths: Sequence[str],
        tokenizer: TextTokenizer,
        chunk_tokens: int,
        max_past_tokens: int,
        max_running_tokens: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._chunk_tokens = chunk_tokens
        self._max_running_tokens = max_running_tokens

        def check(row: dict[str, Any]) -> str | None:
            if fault := _fault(row):
                return fault
            tokens = sum(tokenizer.count(_text(document)) for document in row["documents"])
            if tokens > max_past_tokens:
                limit = f"max_past_tokens is {max_past_tokens:,}"
                return f"{tokens:,} tokens of documents, and {limit}; raise it, or split them"
            running = tokenizer.count(str(row["question"])) + tokenizer.count(row["answer"])
            if running > max_running_tokens:
                return (
                    f"{running:,} tokens of question and answer, and max_running_tokens is {max_running_tokens:,}; "
                    "raise it"
                )
            return None

        self._rows = JsonRows(paths, check)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Item:
        row = self._rows[number]
        texts = [_text(document) for document in row["documents"]]
        return instruction_item(texts, row["question"], row["answer"], self._tokenizer, self._chunk_tokens)


class TaskDataset(Dataset[Item]):
    """Generated look-up tasks, made when they are asked for; item i is task i of the stream.

    Args:
        texts: what documents are cut from; see `generate_tasks`.
        settings: which tasks.
        seed: of the stream.
        count: how many tasks there are.
        tokenizer: the model's.
        chunk_tokens: of a chunk.
    """

    def __init__(
        self,
        texts: Iterable[Text] | None,
        settings: TaskSettings,
        seed: int,
        count: int,
        tokenizer: TextTokenizer,
        chunk_tokens: int,
    ) -> None:
        self._texts = None if texts is None else list(texts)
        self._settings = settings
        self._seed = seed
        self._count = count
        self._tokenizer = tokenizer
        self._chunk_tokens = chunk_tokens

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Item:
        (task,) = generate_tasks(self._texts, self._settings, self._seed, start=number, count=1)
        texts = [document["text"] for document in task.documents]
        return instruction_item(texts, task.question, task.answer, self._tokenizer, self._chunk_tokens)


def instruction_item(
    texts: Sequence[str], question: Any, answer: str, tokenizer: TextTokenizer, chunk_tokens: int
) -> Item:
    """Documents, a question and its answer as a row."""
    library = make_library([Document(text, id=str(i)) for i, text in enumerate(texts)], tokenizer, chunk_tokens)
    prompt = build_prompt(question, tokenizer, window_tokens=10**9, new_tokens=0)
    end = tokenizer.tokenizer.eos_token_id
    answer_ids = tokenizer.encode(answer).ids
    if end is not None:
        answer_ids = torch.cat((answer_ids, torch.tensor([end])))
    ids = torch.cat((prompt.ids, answer_ids))
    labels = ids.clone()
    labels[: len(prompt.ids)] = NO_LOSS
    return Item([chunk.ids for chunk in library.chunks], prompt.query_ids, ids, labels)


class Passes(Dataset[Item]):
    """A dataset again and again, each time in another order: item i is the same however many processes share the work.

    Args:
        dataset: with a length.
        seed: of the orders.
        count: how many items there are in all.
    """

    def __init__(self, dataset: Dataset[Item], seed: int, count: int) -> None:
        self._dataset = dataset
        self._length = len(dataset)  # type: ignore[arg-type]
        self._seed = seed
        self._count = count
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Item:
        turn, place = divmod(number, self._length)
        if self._order[0] != turn:
            order = list(range(self._length))
            random.Random(f"{self._seed} {turn}").shuffle(order)  # noqa: S311 (no secret)
            self._order = (turn, order)
        return self._dataset[self._order[1][place]]


def _fault(row: dict[str, Any]) -> str | None:
    if missing := [name for name in ("documents", "question", "answer") if name not in row]:
        return f"{missing[0]!r} is missing; write documents, question and answer"
    documents = row["documents"]
    if not isinstance(documents, list) or not all(isinstance(_text(document), str) for document in documents):
        return "documents are no list of texts or of objects with a text"
    if not any(_text(document).strip() for document in documents):
        return "documents hold no text; give some that do"
    if not isinstance(row["answer"], str) or not row["answer"]:
        return "answer is no text; write what the model should say"
    if not isinstance(row["question"], str | list) or not row["question"]:
        return "question is neither a text nor messages"
    return None


def _text(document: Any) -> Any:
    return document.get("text") if isinstance(document, dict) else document


def task_settings(values: dict[str, Any], tokenizer: TextTokenizer) -> tuple[list[str], TaskSettings]:
    """Files of texts, and settings, of what stands under `tasks` in a training configuration.

    Raises:
        ConfigError: a setting that is not known, or out of range.
    """
    plain = dict(values)
    texts = plain.pop("texts", [])
    for name in ("forms", "kinds", "passage_characters"):
        if plain.get(name) is not None:
            plain[name] = tuple(plain[name])
    try:
        settings = TaskSettings(count_tokens=tokenizer.count, **plain)
    except TypeError as error:
        raise ConfigError(f"tasks: {str(error).split('() ')[-1]}; known are the settings of TaskSettings") from error
    return [texts] if isinstance(texts, str) else list(texts), settings

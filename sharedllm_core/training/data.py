"""Datasets: what a model is trained on, item by item, the same for the same seed whatever was taken before.

An item is a row of a batch; see `items`.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from ..errors import ConfigError, DocumentError
from ..method.config import SharedLLMConfig
from ..text.tokenization import TextTokenizer
from .items import NO_LOSS, Item, RowDataset, Turn, conversation_item
from .row_reading import RowReading, draw_reading
from .rows import JsonRows
from .tasks import TaskSettings, generate_tasks
from .tasks.haystack import Text

__all__ = ["Passes", "TaskDataset", "TextDataset", "task_settings"]

_QUERY_TOKENS = 64  # before the running text, for policies that look at a query
_CHARACTERS_PER_TOKEN = 8  # more than most texts have, so that a cut holds enough tokens
_LEAST_TOKENS = 3
_SHORT_CHARACTERS = 200  # longer texts have more tokens than that
_PLANNED_CHARACTERS_PER_TOKEN = 3.5  # to count a text's sequences without tokenising it


class TextDataset(RowDataset):
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

        def check(row: dict[str, Any]) -> DocumentError | None:
            if not isinstance(row.get("text"), str):
                return DocumentError(f"an object with {sorted(row)}", remedy='write one with a string "text"')
            if not row["text"].strip():
                return DocumentError("text is empty", remedy="leave the row out")
            # One token is past context and the next has nothing before it: only from the third on there is a loss.
            if len(row["text"]) < _SHORT_CHARACTERS and len(tokenizer.encode(row["text"]).ids) < _LEAST_TOKENS:
                return DocumentError(
                    f"text has fewer than {_LEAST_TOKENS} tokens, so there is nothing to predict",
                    remedy="leave the row out",
                )
            lengths.append(len(row["text"]))
            return None

        self._rows = JsonRows(paths, check)
        for row, length in enumerate(lengths):
            sequences = max(1, length // self._stride)
            self._where += [(row, number * self._stride) for number in range(sequences)]

    def __len__(self) -> int:
        return len(self._where)

    def item(self, number: int, draw: str = "") -> Item:
        """Return a row; nothing is drawn."""
        row, start = self._where[number]
        text = self._rows[row]["text"][start : start + self._sequence_tokens * _CHARACTERS_PER_TOKEN]
        ids = self._tokenizer.encode(text).ids[: self._sequence_tokens]
        past = min(self._past_tokens, len(ids) // 2)
        running = ids[past:]
        labels = running.clone()
        labels[0] = NO_LOSS  # nothing in the running text comes before it
        chunks = list(ids[:past].split(self._chunk_tokens)) if past else []
        return Item(chunks, ids[:past][-_QUERY_TOKENS:], running, labels)


@dataclass(eq=False)
class TaskDataset(RowDataset):
    """Generated look-up tasks, made when they are asked for; item i is set of documents i of the stream.

    Where there are several tasks over one set of documents, an item is a conversation with a turn for each. Where there
    are several settings, items take them in turn.

    Attributes:
        texts: what documents are cut from; see `generate_tasks`.
        settings: which tasks; one or several.
        seed: of the stream.
        count: how many items there are.
        tokenizer: the model's.
        method: the numbers of the method.
        readings: how documents are read; each row draws one.
    """

    texts: Iterable[Text] | None
    settings: Sequence[TaskSettings]
    seed: int
    count: int
    tokenizer: TextTokenizer
    method: SharedLLMConfig
    readings: Sequence[RowReading] = (RowReading(),)

    def __post_init__(self) -> None:
        self._texts = None if self.texts is None else list(self.texts)

    def __len__(self) -> int:
        return self.count

    def item(self, number: int, draw: str = "") -> Item:
        """Return a row; its way of reading is drawn by the seed of the stream."""
        settings = self.settings[number % len(self.settings)]
        turns = settings.questions_per_set
        tasks = list(generate_tasks(self._texts, settings, self.seed, start=number * turns, count=turns))
        texts = [document["text"] for document in tasks[0].documents]
        asked = [Turn(task.question, task.answer) for task in tasks]
        reading = draw_reading(self.readings, random.Random(f"{self.seed} {number}"))  # noqa: S311 (no secret)
        return conversation_item(texts, asked, self.tokenizer, self.method, reading)


class Passes(Dataset[Item]):
    """A dataset again and again, each time in another order: item i is the same however many processes share the work.

    Args:
        dataset: with a length.
        seed: of the orders.
        count: how many items there are in all.
    """

    def __init__(self, dataset: RowDataset, seed: int, count: int) -> None:
        self._dataset = dataset
        self._length = len(dataset)
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
        return self._dataset.item(self._order[1][place], f"{self._seed} {number}")


def task_settings(values: dict[str, Any], tokenizer: TextTokenizer) -> tuple[list[str], list[TaskSettings]]:
    """Files of texts, and settings for each length, of what stands under `tasks` in a training configuration.

    Raises:
        ConfigError: a setting that is not known, or out of range.
    """
    plain = dict(values)
    texts = plain.pop("texts", [])
    for name in ("forms", "kinds", "passage_characters"):
        if plain.get(name) is not None:
            plain[name] = tuple(plain[name])
    lengths = plain.pop("length", TaskSettings.length)
    try:
        settings = [
            TaskSettings(count_tokens=tokenizer.count, length=length, **plain)
            for length in (lengths if isinstance(lengths, list | tuple) else [lengths])
        ]
    except TypeError as error:
        raise ConfigError(
            f"tasks: {str(error).split('() ')[-1]}", remedy="known are the settings of TaskSettings"
        ) from error
    return [texts] if isinstance(texts, str) else list(texts), settings

"""Datasets: what a model is trained on, item by item, the same for the same seed whatever was taken before.

An item is a row of a batch; see `items`.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from torch.utils.data import Dataset

from ..errors import ConfigError, InputError
from ..method.config import SharedLLMConfig
from ..text.tokenization import TextTokenizer
from .items import NO_LOSS, Item, Turn, conversation_item, count_running_tokens
from .rows import JsonRows
from .tasks import TaskSettings, generate_tasks
from .tasks.haystack import Text

__all__ = ["InstructionDataset", "Passes", "TaskDataset", "TextDataset", "task_settings"]

_QUERY_TOKENS = 64  # before the running text, for policies that look at a query
_CHARACTERS_PER_TOKEN = 8  # more than most texts have, so that a cut holds enough tokens
_LEAST_TOKENS = 3
_SHORT_CHARACTERS = 200  # longer texts have more tokens than that
_PLANNED_CHARACTERS_PER_TOKEN = 3.5  # to count a text's sequences without tokenising it


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
            # One token is past context and the next has nothing before it: only from the third on there is a loss.
            if len(row["text"]) < _SHORT_CHARACTERS and len(tokenizer.encode(row["text"]).ids) < _LEAST_TOKENS:
                return f"text has fewer than {_LEAST_TOKENS} tokens, so there is nothing to predict; leave the row out"
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
    """Instruction tuning: documents, and questions with their answers, per row; loss on the answers.

    Args:
        paths: files of JSON lines with `documents` (texts, or objects with `text`), `question` (a text, or messages)
            and `answer`; or, in place of these two, `turns` of a conversation: objects with `question` (a text) and
            `answer`.
        tokenizer: the model's.
        method: the numbers of the method.
        max_past_tokens: the most tokens of documents; more is refused, and nothing is cut.
        max_running_tokens: the most tokens of prompt and answer.

    Raises:
        DocumentError: see `JsonRows`; or documents that are too long, with file and line.
    """

    def __init__(
        self,
        paths: Sequence[str],
        tokenizer: TextTokenizer,
        method: SharedLLMConfig,
        max_past_tokens: int,
        max_running_tokens: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._method = method
        self._max_running_tokens = max_running_tokens

        def check(row: dict[str, Any]) -> str | None:
            if fault := _fault(row):
                return fault
            tokens = sum(tokenizer.count(_text(document)) for document in row["documents"])
            if tokens > max_past_tokens:
                limit = f"max_past_tokens is {max_past_tokens:,}"
                return f"{tokens:,} tokens of documents, and {limit}; raise it, or split them"
            try:
                running = count_running_tokens(_turns(row), tokenizer)
            except InputError as error:
                return str(error)
            if running > max_running_tokens:
                return (
                    f"{running:,} tokens of question and answer, and max_running_tokens, or the base's window, is "
                    f"{max_running_tokens:,}; raise it where it can be, or shorten them"
                )
            return None

        self._rows = JsonRows(paths, check)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Item:
        row = self._rows[number]
        texts = [_text(document) for document in row["documents"]]
        return conversation_item(texts, _turns(row), self._tokenizer, self._method)


class TaskDataset(Dataset[Item]):
    """Generated look-up tasks, made when they are asked for; item i is set of documents i of the stream.

    Where there are several tasks over one set of documents, an item is a conversation with a turn for each. Where there
    are several settings, items take them in turn.

    Args:
        texts: what documents are cut from; see `generate_tasks`.
        settings: which tasks; one or several.
        seed: of the stream.
        count: how many items there are.
        tokenizer: the model's.
        method: the numbers of the method.
    """

    def __init__(
        self,
        texts: Iterable[Text] | None,
        settings: Sequence[TaskSettings],
        seed: int,
        count: int,
        tokenizer: TextTokenizer,
        method: SharedLLMConfig,
    ) -> None:
        self._texts = None if texts is None else list(texts)
        self._settings = settings
        self._seed = seed
        self._count = count
        self._tokenizer = tokenizer
        self._method = method

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Item:
        settings = self._settings[number % len(self._settings)]
        turns = settings.questions_per_set
        tasks = list(generate_tasks(self._texts, settings, self._seed, start=number * turns, count=turns))
        texts = [document["text"] for document in tasks[0].documents]
        asked = [Turn(task.question, task.answer) for task in tasks]
        return conversation_item(texts, asked, self._tokenizer, self._method)


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
    if "turns" in row and ("question" in row or "answer" in row):
        return "both turns and a question or answer; write one of the two"
    needed = ("documents", "turns") if "turns" in row else ("documents", "question", "answer")
    if missing := [name for name in needed if name not in row]:
        return f"{missing[0]!r} is missing; write documents, question and answer"
    in_documents = _fault_of_documents(row["documents"])
    return in_documents or (_fault_of_turns(row["turns"]) if "turns" in row else _fault_of_question(row))


def _fault_of_documents(documents: Any) -> str | None:
    if not isinstance(documents, list) or not all(isinstance(_text(document), str) for document in documents):
        return "documents are no list of texts or of objects with a text"
    if not any(_text(document).strip() for document in documents):
        return "documents hold no text; give some that do"
    return None


def _fault_of_question(row: dict[str, Any]) -> str | None:
    if not isinstance(row["answer"], str) or not row["answer"]:
        return "answer is no text; write what the model should say"
    if not isinstance(row["question"], str | list) or not row["question"]:
        return "question is neither a text nor messages"
    return None


def _fault_of_turns(turns: Any) -> str | None:
    if not isinstance(turns, list) or not turns:
        return "turns are no list, or an empty one; write objects with a question and an answer"
    for number, turn in enumerate(turns):
        for name in ("question", "answer"):
            if not isinstance(turn, dict) or not isinstance(turn.get(name), str) or not turn[name].strip():
                return f"turn {number} has no text as its {name}; write objects with a question and an answer"
    return None


def _turns(row: dict[str, Any]) -> list[Turn]:
    return [Turn(turn["question"], turn["answer"]) for turn in row.get("turns", [row])]


def _text(document: Any) -> Any:
    return document.get("text") if isinstance(document, dict) else document


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

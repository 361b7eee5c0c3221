"""What the base of the embedded model is trained on: sequences of one length, of running text or of look-up tasks.

Sequence i is a function of the seed and i alone, so a run that was stopped goes on with what it would have seen.
"""

import random
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sharedllm_core.errors import ConfigError
from sharedllm_core.tokenization import TextTokenizer
from sharedllm_core.training.tasks import Task, TaskSettings, generate_tasks

CHARACTERS_PER_TOKEN = 6  # more than texts have, so that a cut holds enough tokens
CHARACTERS_PER_QUESTION = 250  # of documents, so that the facts of all the questions fit
TRIES = 20

#: Ids, and for each the number of the answer that it belongs to, or 0.
Numbered = tuple[list[int], list[int]]


class Sequences(Dataset[dict[str, Tensor]]):
    """Sequences to train a language model on, each `input_ids` [T] and `answers` [T].

    `answers` numbers the tokens of answers, 1 for those of the first in a sequence, and is 0 elsewhere.

    Args:
        texts: objects with `text` (and `title`).
        tokenizer: with the tokens of the chat template, `<|user|>` and the like.
        tokens: of a sequence.
        count: how many sequences there are.
        lookup_share: share of sequences with look-up tasks: documents, then questions and their answers.
        lookup_characters: shortest and longest set of documents.
        lookup_questions: over one set of documents at most.
        seed: of everything that is drawn.
    """

    def __init__(
        self,
        texts: Sequence[dict[str, Any]],
        tokenizer: TextTokenizer,
        *,
        tokens: int,
        count: int,
        lookup_share: float,
        lookup_characters: tuple[int, int],
        lookup_questions: int,
        seed: int,
    ) -> None:
        self._texts = texts
        self._ends = list(accumulate(len(text["text"]) for text in texts))
        self._tokenizer = tokenizer
        self._special: dict[str, int] = {token: tokenizer.tokenizer.convert_tokens_to_ids(token) for token in _USED}
        self._tokens = tokens
        self._count = count
        self._lookup_share = lookup_share
        self._lookup_characters = lookup_characters
        self._lookup_questions = lookup_questions
        self._seed = seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        rng = random.Random(f"{self._seed} sequence {number}")  # noqa: S311 (no secret)
        ids, answers = self._lookups(rng) if rng.random() < self._lookup_share else ([], [])
        before = self._running_text(rng, self._tokens - len(ids))
        return {"input_ids": torch.tensor(before + ids), "answers": torch.tensor([0] * len(before) + answers)}

    def _running_text(self, rng: random.Random, tokens: int) -> list[int]:
        """So many tokens of texts, each from a random word on; the last is the token for a text's end."""
        ids: list[int] = []
        while len(ids) < tokens:
            place = rng.randrange(self._ends[-1])
            at = bisect(self._ends, place)
            text = self._texts[at]["text"]
            start = place - self._ends[at] + len(text)
            while start and start < len(text) and not text[start - 1].isspace():
                start += 1
            cut = text[start : start + (tokens - len(ids)) * CHARACTERS_PER_TOKEN]
            ids += [*self._ids(cut)[: tokens - len(ids) - 1], self._special["<|end|>"]]
        return ids

    def _lookups(self, rng: random.Random) -> Numbered:
        """As many sets of documents with their questions as there is room for, at least one."""
        ids: list[int] = []
        answers: list[int] = []
        for _ in range(TRIES):
            while added := self._set(rng, self._tokens - len(ids)):
                last = max(answers, default=0)
                ids += added[0]
                answers += [answer + last if answer else 0 for answer in added[1]]
            if ids:
                return ids, answers
        raise ConfigError(
            f"no documents of lookup_characters={list(self._lookup_characters)} with a question fit into "
            f"sequence_tokens={self._tokens}; use shorter documents"
        )

    def _set(self, rng: random.Random, room: int) -> Numbered | None:
        """A set of documents and questions over it, those that fit; None when not even one does."""
        if room * CHARACTERS_PER_TOKEN < self._lookup_characters[0]:
            return None
        tasks = self._tasks(rng)
        separator = self._ids("\n\n")
        ids: list[int] = []
        for document in tasks[0].documents:
            ids += [*(separator if ids else []), *self._ids(document["text"])]
        # Documents stand by themselves, or in front of the first question as part of what the user says.
        alone = rng.random() < 0.5
        ids = [*ids, self._special["<|end|>"]] if alone else [self._special["<|user|>"], *ids]
        answers = [0] * len(ids)
        for number, task in enumerate(tasks, start=1):
            inside = number == 1 and not alone
            question = self._ids(f"\n\n{task.question}") if inside else self._ids(task.question)
            asked = [*([] if inside else [self._special["<|user|>"]]), *question]
            asked += [self._special["<|end|>"], self._special["<|assistant|>"]]
            answer = [*self._ids(task.answer), self._special["<|end|>"]]
            if len(ids) + len(asked) + len(answer) > room:
                return (ids, answers) if number > 1 else None
            ids += asked + answer
            answers += [0] * len(asked) + [number] * len(answer)
        return ids, answers

    def _tasks(self, rng: random.Random) -> list[Task]:
        for _ in range(TRIES):
            shortest, longest = self._lookup_characters
            length = round(shortest * (longest / shortest) ** rng.random())  # as many of 1,000 to 2,000 as up to 4,000
            count = max(1, min(self._lookup_questions, length // CHARACTERS_PER_QUESTION))
            settings = TaskSettings(
                length=length,
                questions_per_set=count,
                distractors=rng.randint(0, 2),
                passage_characters=(300, 1_500),
            )
            first = rng.randrange(2**40) * count
            try:
                return list(generate_tasks(self._texts, settings, self._seed, start=first, count=count))
            except ConfigError:  # the facts that were drawn are too long for these documents
                continue
        raise ConfigError(
            f"lookup_characters={list(self._lookup_characters)} leave no room for facts; use longer documents"
        )

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids.tolist()
        return ids


_USED = ("<|end|>", "<|user|>", "<|assistant|>")

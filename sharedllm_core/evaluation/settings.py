"""`EvaluationSettings`: the sizes, the seed and the inputs that decide which items are measured."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import ConfigError, setting
from ..method.checks import check_whole
from ..text.tokenization import TextTokenizer
from ..training.tasks import FillerTexts, TaskSettings, Text, TextFiles, read_texts

__all__ = ["MIN_LENGTH", "EvaluationSettings"]

#: The shortest set of documents, in tokens.
MIN_LENGTH = 512


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Which items are measured.

    Attributes:
        tokenizer: in whose tokens lengths are counted; the sizes can be checked without it, items are not made without.
        lengths: tokens of documents, or of what stands before a text.
        items: sets of documents per cell of a table; with files of published sets, rows per file.
        questions_per_item: asked about one set of documents, where a measurement can ask several.
        forms: of look-ups, to measure these alone; by default the measurement's own.
        seed: the same seed and inputs give the same items.
        depths: of the needle, from 0 (in front) to 1 (at the end).
        target_tokens: of which perplexity is measured.
        texts: files of long texts (JSON lines with `text`); without them, plain sentences surround what is asked.
        squad, qa, longbench, infinitebench: files of published sets.
        join_sets: make one set of documents of all lines of a file in `qa`.

    Raises:
        ConfigError: a number is out of its range.
    """

    tokenizer: TextTokenizer | None = None
    lengths: tuple[int, ...] = (4_096, 8_192, 16_384, 32_768, 65_536, 131_072)
    items: int = 20
    questions_per_item: int = 4
    forms: tuple[str, ...] = ()
    seed: int = 0
    depths: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    target_tokens: int = 1_024
    texts: tuple[Path, ...] = field(default=())
    squad: Path | None = None
    qa: tuple[Path, ...] = field(default=())
    join_sets: bool = False
    longbench: tuple[Path, ...] = field(default=())
    infinitebench: tuple[Path, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("items", "questions_per_item", "target_tokens"):
            check_whole(name, getattr(self, name), at_least=1)
        if not self.lengths:
            raise ConfigError(f"{setting('lengths')} is empty", remedy="give one length or more, in tokens")
        if (shortest := min(self.lengths)) < MIN_LENGTH:
            raise ConfigError(f"a length of {shortest} tokens is too short", remedy=f"use {MIN_LENGTH} or more")
        if not self.depths or not all(0 <= depth <= 1 for depth in self.depths):
            raise ConfigError(
                f"{setting('depths', self.depths)} is not allowed",
                remedy="use numbers from 0 (in front) to 1 (at the end)",
            )
        if self.forms:
            TaskSettings(forms=self.forms, split="held_out")  # names one that there is not
        for name in ("lengths", "depths"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))

    def encode(self, text: str) -> Tensor:
        """Token ids [n] of a text."""
        return self._tokenizer.encode(text).ids

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return self._tokenizer.count(text)

    @property
    def _tokenizer(self) -> TextTokenizer:
        if self.tokenizer is None:
            raise ConfigError(
                f"{setting('tokenizer', None)} counts no tokens",
                remedy="give the tokenizer of the model that is measured",
            )
        return self.tokenizer

    @cached_property
    def surroundings(self) -> Sequence[Text] | TextFiles:
        """Texts that what is asked for is placed in."""
        return read_texts(self.texts) if self.texts else FillerTexts()

    def described(self) -> dict[str, Any]:
        """Everything that decides about the items, as JSON: files by name and content, not by place."""
        return {
            "tokenizer": self._tokenizer.fingerprint,
            "lengths": list(self.lengths),
            "items": self.items,
            "questions_per_item": self.questions_per_item,
            "forms": list(self.forms),
            "seed": self.seed,
            "depths": list(self.depths),
            "target_tokens": self.target_tokens,
            "texts": [_described(path) for path in self.texts],
            "squad": _described(self.squad) if self.squad else None,
            "qa": [_described(path) for path in self.qa],
            "join_sets": self.join_sets,
            "longbench": [_described(path) for path in self.longbench],
            "infinitebench": [_described(path) for path in self.infinitebench],
        }


def _described(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}

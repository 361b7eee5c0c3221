"""`TaskSettings`: which tasks to make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ...errors import ConfigError
from .forms import FORMS, Scene, possible
from .kinds import KINDS, FactKind
from .seeding import generator
from .task import Split

__all__ = ["MIN_LENGTH", "TaskSettings"]

#: The shortest set of documents, in characters or tokens.
MIN_LENGTH = 500


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """Which tasks to make.

    Attributes:
        length: of a set of documents, in characters, or in tokens with `count_tokens`; met to within 5 %.
        count_tokens: how many tokens a text has; None counts characters.
        questions_per_set: tasks over one set of documents, each with facts of its own.
        forms: names of the forms of task, drawn evenly; one that is named twice comes twice as often.
        kinds: names of the kinds of fact to ask about; None for all that the split allows.
        further_kinds: kinds of your own beside these, for training only: with split="held_out" there must be none.
        split: "train", or "held_out": what training never shows.
        held_out: what is held out, with split="held_out": "phrasing", "kind", or None for half of each.
        depth: where the needed facts stand, from 0 (in front) to 1 (at the end); None for anywhere.
        distractors: how many facts that could be mistaken for the needed ones at most, per task.
        passage_characters: shortest and longest passage that is cut from a text.

    Raises:
        ConfigError: a setting is out of its range, or the kinds allow no task of one of the forms.
    """

    length: int = 32_000
    count_tokens: Callable[[str], int] | None = None
    questions_per_set: int = 1
    forms: tuple[str, ...] = tuple(FORMS)
    kinds: tuple[str, ...] | None = None
    further_kinds: tuple[FactKind, ...] = ()
    split: Literal["train", "held_out"] = "train"
    held_out: Literal["phrasing", "kind"] | None = None
    depth: float | None = None
    distractors: int = 4
    passage_characters: tuple[int, int] = (1_500, 8_000)

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_names()
        for split in self.splits:
            for form in self.forms:
                if not possible(form, self.scene(split)):
                    raise ConfigError(
                        f"none of kinds={self.kinds} allows a task of the form {form!r} in the split {split!r}; "
                        "name more kinds, or leave the form out"
                    )

    def _check_numbers(self) -> None:
        shortest, longest = self.passage_characters
        for wrong, message in (
            (self.length < MIN_LENGTH, f"length={self.length} is too short; use {MIN_LENGTH} or more"),
            (self.questions_per_set < 1, f"questions_per_set={self.questions_per_set}; use 1 or more"),
            (not 0 <= self.distractors <= 20, f"distractors={self.distractors}; use a number from 0 to 20"),
            (
                self.depth is not None and not 0 <= self.depth <= 1,
                f"depth={self.depth}; use a number from 0 (in front) to 1 (at the end), or None for anywhere",
            ),
            (
                not 200 <= shortest <= longest,
                f"passage_characters={self.passage_characters}; use a shortest of 200 or more and a longest not below",
            ),
        ):
            if wrong:
                raise ConfigError(message)

    def _check_names(self) -> None:
        for name, given, known in (("forms", self.forms, FORMS), ("kinds", self.kinds, KINDS)):
            if isinstance(given, str):
                raise ConfigError(f"{name}={given!r} is a string; write ({given!r},)")
            unknown = [entry for entry in given or () if entry not in known]
            if unknown:
                raise ConfigError(f"{name} has {unknown[0]!r}, which is none; use some of {', '.join(known)}")
        if not self.forms:
            raise ConfigError(f"forms is empty; name one or more of {', '.join(FORMS)}")
        if self.split not in {"train", "held_out"}:
            raise ConfigError(f"split={self.split!r}; use 'train' or 'held_out'")
        if self.held_out not in {None, "phrasing", "kind"}:
            raise ConfigError(f"held_out={self.held_out!r}; use 'phrasing', 'kind' or None for half of each")
        if self.held_out and self.split == "train":
            raise ConfigError(f"held_out={self.held_out!r} with split='train'; use split='held_out'")
        self._check_further_kinds()

    def _check_further_kinds(self) -> None:
        names = [kind.name for kind in self.further_kinds]
        taken = [name for name in names if name in KINDS or names.count(name) > 1]
        if taken:
            raise ConfigError(f"further_kinds has {taken[0]!r}, a name that another kind has; give each one of its own")
        if names and self.split != "train":
            raise ConfigError(
                f"further_kinds={names} with split={self.split!r}; they are for training, so use split='train', or "
                "leave them out"
            )

    @property
    def splits(self) -> tuple[Split, ...]:
        """What tasks may show, as the tasks themselves record it."""
        if self.split == "train":
            return ("train",)
        if self.held_out == "phrasing":
            return ("held_out_phrasing",)
        return ("held_out_kind",) if self.held_out == "kind" else ("held_out_phrasing", "held_out_kind")

    def scene(self, split: Split, *purpose: object) -> Scene:
        """What drafts of a split are made from; `purpose` seeds its generator.

        What is held out draws for itself: with one seed, it would else state training's facts in other words.
        """

        def named(held_out: bool) -> list[FactKind]:
            return [k for k in KINDS.values() if k.held_out == held_out and (not self.kinds or k.name in self.kinds)]

        kinds = [*named(split == "held_out_kind"), *self.further_kinds]
        companions = [kind for kind in KINDS.values() if not kind.held_out] if split == "held_out_kind" else []
        rng = generator(*purpose) if split == "train" else generator(*purpose, split)
        return Scene(rng, split, kinds, companions, self.distractors)

"""`TaskSettings`: which tasks to make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ...errors import ConfigError, setting
from ...method.checks import check_number, check_one_of, check_that, check_whole
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
                        f"none of {setting('kinds', self.kinds)} allows a task of the form {form!r} in the split "
                        f"{split!r}",
                        remedy="name more kinds, or leave the form out",
                    )

    def _check_numbers(self) -> None:
        check_whole("length", self.length, at_least=MIN_LENGTH)
        check_whole("questions_per_set", self.questions_per_set, at_least=1)
        check_whole("distractors", self.distractors, at_least=0, at_most=20)
        if self.depth is not None:
            remedy = "use a number from 0 (in front) to 1 (at the end), or None for anywhere"
            check_number("depth", self.depth, at_least=0, at_most=1, remedy=remedy)
        shortest, longest = self.passage_characters
        allowed = 200 <= shortest <= longest
        limit = "a shortest of 200 or more and a longest not below"
        check_that(allowed, "passage_characters", self.passage_characters, limit)

    def _check_names(self) -> None:
        for name, given, known in (("forms", self.forms, FORMS), ("kinds", self.kinds, KINDS)):
            if isinstance(given, str):
                raise ConfigError(f"{setting(name, given)} is a string", remedy=f"write ({given!r},)")
            unknown = [entry for entry in given or () if entry not in known]
            if unknown:
                raise ConfigError(
                    f"{setting(name)} has {unknown[0]!r}, which is none", remedy=f"use some of {', '.join(known)}"
                )
        if not self.forms:
            raise ConfigError(f"{setting('forms')} is empty", remedy=f"name one or more of {', '.join(FORMS)}")
        check_one_of("split", self.split, ("train", "held_out"))
        check_one_of("held_out", self.held_out, (None, "phrasing", "kind"))
        if self.held_out and self.split == "train":
            raise ConfigError(
                f"{setting('held_out', self.held_out)} with {setting('split', 'train')}",
                remedy=f"use {setting('split', 'held_out')}",
            )
        self._check_further_kinds()

    def _check_further_kinds(self) -> None:
        names = [kind.name for kind in self.further_kinds]
        taken = [name for name in names if name in KINDS or names.count(name) > 1]
        if taken:
            raise ConfigError(
                f"{setting('further_kinds')} has {taken[0]!r}, a name that another kind has",
                remedy="give each one of its own",
            )
        if names and self.split != "train":
            raise ConfigError(
                f"{setting('further_kinds', names)} with {setting('split', self.split)}",
                remedy=f"they are for training, so use {setting('split', 'train')}, or leave them out",
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

"""`Draft`: a task before it has a place in documents, and what drafts are made from."""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from ..kinds import FactKind
from ..phrasing import own
from ..task import Split

__all__ = ["Draft", "Fact", "Scene", "state"]


@dataclass(frozen=True)
class Fact:
    """A stated fact.

    Attributes:
        text: as it will stand in a document.
        names: every key and value in it, and how often each stands there.
        value: what it says.
    """

    text: str
    names: dict[str, int]
    value: str


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A task before its facts have a place.

    Attributes:
        form: of the task.
        kind: of fact, or two joined by "+".
        question: what is asked.
        answer: makes the answer from the needed facts in the order in which they will stand.
        needed: facts that the answer follows from.
        others: facts that could be mistaken for them.
        shared: keys and values that stand in several of the facts on purpose.
        absent: names in the question that must not occur in any document.
        sorts: names of the kinds stated.
        whole_sort: a kind of which no other fact may be stated in these documents.
    """

    form: str
    kind: str
    question: str
    answer: Callable[[Sequence[Fact]], str]
    needed: tuple[Fact, ...] = ()
    others: tuple[Fact, ...] = ()
    shared: frozenset[str] = frozenset()
    absent: tuple[str, ...] = ()
    sorts: frozenset[str] = frozenset()
    whole_sort: str = ""


@dataclass
class Scene:
    """What a draft may be made from.

    Attributes:
        rng: to draw with.
        split: which phrasings to use.
        kinds: that may be asked about.
        companions: kinds that may be needed beside one of them.
        distractors: how many facts that could be mistaken at most.
        sorts: kinds that are stated in these documents already.
        used: ways to state a fact that were taken; others are taken first.
    """

    rng: Random
    split: Split
    kinds: Sequence[FactKind]
    companions: Sequence[FactKind]
    distractors: int
    sorts: frozenset[str] = field(default_factory=frozenset)
    used: set[str] = field(default_factory=set)


def state(kind: FactKind, key: str, value: str, scene: Scene, *, alone: bool = False) -> Fact:
    """State a fact in one of the kind's phrasings.

    Args:
        kind: of fact.
        key: what it is about.
        value: what it says.
        scene: where to draw from.
        alone: whether no neighbours may stand beside it.
    """
    templates = [text for text in own(kind.facts, scene.split) if not (alone and "{key2}" in text)]
    template = scene.rng.choice([text for text in templates if text not in scene.used] or templates)
    scene.used.add(template)
    roles = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    filled = {"key": key, "value": value}
    for role in sorted(set(roles) - set(filled)):
        filled[role] = (kind.key if role.startswith("key") else kind.value).draw(scene.rng)
    names: dict[str, int] = {}
    for role in roles:
        names[filled[role]] = names.get(filled[role], 0) + 1
    return Fact(template.format(**filled), names, value)

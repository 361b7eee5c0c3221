"""Questions that take more than finding a fact: a way over two facts, and counting."""

from collections.abc import Sequence

from ..kinds import FactKind
from ..phrasing import pick_own, pick_shared
from ..pools import Pool
from ._draft import Draft, Scene, state

__all__ = ["COUNT_QUESTIONS", "counting", "linked", "links", "two_hop"]

COUNT_QUESTIONS = (
    "How many {things} do the documents name?",
    "Count the {things} in the documents and answer with a number.",
    "What is the number of {things} in the documents?",
    "The documents name a number of {things}. How many are there?",
    "How many different {things} are there in these documents?",
    "Go through all documents: how many {things} come up?",
    "Give the number of {things} that occur in the documents.",
    "Add up the {things}. What is the total?",
    "I need a count of the {things}. Answer with a numeral.",
    "What does a count of all {things} in the documents come to?",
)


def links(scene: Scene) -> list[tuple[FactKind, FactKind]]:
    """Pairs of kinds where the first says what the second is about; one of each may be asked about."""
    named = {kind.name for kind in scene.kinds}
    every = [*scene.kinds, *(kind for kind in scene.companions if kind.name not in named)]
    return [(first, second) for first, second in linked(every) if {first.name, second.name} & named]


def linked(kinds: Sequence[FactKind]) -> list[tuple[FactKind, FactKind]]:
    """Pairs of kinds where the first says what the second is about."""
    about: dict[Pool, list[FactKind]] = {}
    for kind in kinds:
        if kind.via:
            about.setdefault(kind.key, []).append(kind)
    return [(first, second) for first in kinds for second in about.get(first.value, ())]


def two_hop(scene: Scene) -> Draft:
    """A fact that names a thing, and a fact about that thing; the question does not name the thing."""
    first, second = scene.rng.choice(links(scene))
    key, *similar = first.key.family(scene.rng, 1 + min(2, scene.rng.randint(0, scene.distractors)))
    between, *others = second.key.family(scene.rng, 1 + len(similar))
    phrase = pick_own(first.phrases, scene.split, scene.rng).format(key=key)
    decoys = [
        fact
        for other_key, other in zip(similar, others, strict=True)
        for fact in (
            state(first, other_key, other, scene),
            state(second, other, second.value.draw(scene.rng), scene),
        )
    ]
    last = state(second, between, second.value.draw(scene.rng), scene)
    return Draft(
        form="two_hop",
        kind=f"{first.name}+{second.name}",
        question=pick_own(second.via, scene.split, scene.rng).format(via=phrase),
        answer=lambda _: last.value,
        needed=(state(first, key, between, scene), last),
        others=tuple(decoys),
        shared=frozenset({between, *others}),
        sorts=frozenset({first.name, second.name}),
    )


def counting(scene: Scene) -> Draft:
    """How many facts there are: about one key, or of a sort of thing that nothing else in the documents is."""
    of_sort = [kind for kind in scene.kinds if kind.counted and kind.name not in scene.sorts]
    of_key = [kind for kind in scene.kinds if kind.several]
    kind = scene.rng.choice([*of_sort, *of_key])
    count = scene.rng.randint(1, 9)
    return _count_of_sort(scene, kind, count) if kind.counted else _count_of_key(scene, kind, count)


def _count_of_sort(scene: Scene, kind: FactKind, count: int) -> Draft:
    return Draft(
        form="counting",
        kind=kind.name,
        question=pick_shared(COUNT_QUESTIONS, scene.split, scene.rng).format(things=kind.counted),
        answer=lambda needed: str(len(needed)),
        needed=tuple(
            state(kind, kind.key.draw(scene.rng), kind.value.draw(scene.rng), scene, alone=True) for _ in range(count)
        ),
        sorts=frozenset({kind.name}),
        whole_sort=kind.name,
    )


def _count_of_key(scene: Scene, kind: FactKind, count: int) -> Draft:
    key, *similar = kind.key.family(scene.rng, 1 + scene.rng.randint(0, scene.distractors))
    things = kind.several.format(key=key)
    return Draft(
        form="counting",
        kind=kind.name,
        question=pick_shared(COUNT_QUESTIONS, scene.split, scene.rng).format(things=things),
        answer=lambda needed: str(len(needed)),
        needed=tuple(state(kind, key, kind.value.draw(scene.rng), scene) for _ in range(count)),
        others=tuple(state(kind, other, kind.value.draw(scene.rng), scene) for other in similar),
        shared=frozenset({key}),
        sorts=frozenset({kind.name}),
    )

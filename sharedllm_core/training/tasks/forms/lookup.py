"""Questions that facts of one kind answer: one, one among similar ones, several, or none."""

from ..kinds import FactKind
from ..phrasing import pick_own, pick_shared
from ._draft import Draft, Scene, state

__all__ = ["NO_ANSWER", "SEVERAL_QUESTIONS", "multi_key", "multi_value", "single", "unanswerable"]

#: The answer to a question that the documents do not answer.
NO_ANSWER = "The documents do not say."

SEVERAL_QUESTIONS = (
    "List the {things} in the order in which the documents name them, separated by commas.",
    "Which are the {things}? Name all of them in order of appearance, separated by commas.",
    "Name all {things}. Keep the order of the documents and put commas between them.",
    "Collect every one of the {things}, first to last as they stand in the text, with commas in between.",
    "The documents name several {things}. Give all of them, in that order, separated by commas.",
    "Find all {things} and answer with a list in order of appearance, separated by commas.",
    "What are the {things}? There is more than one; list them as they come up, separated by commas.",
    "Write down all {things} in one line with commas, the one that is mentioned first at the front.",
    "Go through the documents and note the {things} as you meet them. Answer with the notes, separated by commas.",
    "Give a complete list of the {things}, comma-separated, in the order in which they appear.",
)


def single(scene: Scene) -> Draft:
    """One fact, one question."""
    kind = scene.rng.choice(scene.kinds)
    return _among(scene, kind, "single", 0)


def multi_key(scene: Scene) -> Draft:
    """One fact among others of its kind with similar keys."""
    kind = scene.rng.choice(scene.kinds)
    return _among(scene, kind, "multi_key", scene.rng.randint(1, max(1, scene.distractors)))


def _among(scene: Scene, kind: FactKind, form: str, others: int) -> Draft:
    key, *similar = kind.key.family(scene.rng, 1 + others)
    return Draft(
        form=form,
        kind=kind.name,
        question=pick_own(kind.questions, scene.split, scene.rng).format(key=key),
        answer=lambda needed: needed[0].value,
        needed=(state(kind, key, kind.value.draw(scene.rng), scene),),
        others=tuple(state(kind, other, kind.value.draw(scene.rng), scene) for other in similar),
        sorts=frozenset({kind.name}),
    )


def multi_value(scene: Scene) -> Draft:
    """Two to four facts about one key; all their values are asked for."""
    kind = scene.rng.choice([kind for kind in scene.kinds if kind.several])
    key, *similar = kind.key.family(scene.rng, 1 + scene.rng.randint(0, scene.distractors))
    values = [kind.value.draw(scene.rng) for _ in range(scene.rng.randint(2, 4))]
    things = kind.several.format(key=key)
    return Draft(
        form="multi_value",
        kind=kind.name,
        question=pick_shared(SEVERAL_QUESTIONS, scene.split, scene.rng).format(things=things),
        answer=lambda needed: ", ".join(fact.value for fact in needed),
        needed=tuple(state(kind, key, value, scene) for value in values),
        others=tuple(state(kind, other, kind.value.draw(scene.rng), scene) for other in similar),
        shared=frozenset({key}),
        sorts=frozenset({kind.name}),
    )


def unanswerable(scene: Scene) -> Draft:
    """A question about something that no document names, though they name similar things."""
    kind = scene.rng.choice(scene.kinds)
    key, *similar = kind.key.family(scene.rng, 1 + scene.rng.randint(1, max(1, scene.distractors)))
    return Draft(
        form="unanswerable",
        kind=kind.name,
        question=pick_own(kind.questions, scene.split, scene.rng).format(key=key),
        answer=lambda _: NO_ANSWER,
        others=tuple(state(kind, other, kind.value.draw(scene.rng), scene) for other in similar),
        absent=(key,),
        sorts=frozenset({kind.name}),
    )

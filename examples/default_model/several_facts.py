"""Rows of sentences for step 3 of the embedded model: the several values of a thing, to be listed or counted."""

from collections.abc import Sequence
from random import Random

from facts import AskedFact, statement

from sharedllm_core.training.tasks import FactKind
from sharedllm_core.training.tasks.forms.lookup import SEVERAL_QUESTIONS
from sharedllm_core.training.tasks.forms.reasoning import COUNT_QUESTIONS
from sharedllm_core.training.tasks.phrasing import training_phrasings

__all__ = ["several_facts"]

_LISTING = (
    *training_phrasings(SEVERAL_QUESTIONS),
    "All {things}, in order, with commas.",
    "Give me the {things}, every one of them, with commas in between and in the order of the text.",
    "What are all the {things} that come up? Put commas between them.",
    "{things}: list them as they appear.",
    "I want to see each of the {things}, from the first to the last, separated by commas.",
    "Enumerate the {things} in the order in which one reads them.",
)
_COUNTING = (
    *training_phrasings(COUNT_QUESTIONS),
    "How many {things} are there?",
    "{things}: how many?",
    "Tell me how many {things} are mentioned.",
    "What number of {things} can one find in the documents?",
    "Count all {things}.",
)
_NUMBERS_OF_VALUES = (1, 1, 2, 2, 2, 3, 3, 4)
_MANY = (5, 6, 7, 8, 9)  # to be counted, too many to be named


def several_facts(count: int, kinds: Sequence[FactKind], rng: Random) -> tuple[list[str], list[AskedFact]]:
    """Sentences in an order, and so many questions about them, which have no sentences of their own.

    Args:
        count: of questions.
        kinds: to draw from those that may have several values.
        rng: for all choices.
    """
    several = [kind for kind in kinds if kind.several]
    sentences: list[str] = []
    asked: list[AskedFact] = []
    while len(asked) < count:
        kind = rng.choice(several)
        keys = kind.key.family(rng, rng.randint(1, 3))
        many = keys[0] if rng.random() < 0.15 else ""
        numbers = {key: rng.choice(_MANY if key == many else _NUMBERS_OF_VALUES) for key in keys}
        said = [(key, value) for key in keys for value in _distinct(kind, numbers[key], rng)]
        rng.shuffle(said)
        patterns = rng.sample(kind.facts, len(kind.facts))
        sentences += [
            statement(kind, patterns[place % len(patterns)], key, value, rng) for place, (key, value) in enumerate(said)
        ]
        for key in keys:
            values = [value for its, value in said if its == key]
            things = kind.several.format(key=key)
            if key != many:
                asked.append(AskedFact("", _question(_LISTING, things, rng), ", ".join(values)))
            if key == many or rng.random() < 0.4:
                asked.append(AskedFact("", _question(_COUNTING, things, rng), str(len(values))))
    rng.shuffle(asked)
    return sentences, asked[:count]


def _question(patterns: Sequence[str], things: str, rng: Random) -> str:
    question = rng.choice(patterns).format(things=things)
    return question[0].upper() + question[1:]


def _distinct(kind: FactKind, count: int, rng: Random) -> list[str]:
    values: list[str] = []
    for _ in range(20 * count):
        value = kind.value.draw(rng)
        if value not in values:
            values.append(value)
        if len(values) == count:
            break
    return values

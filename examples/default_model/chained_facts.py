"""Rows of sentences for step 3 of the embedded model with questions that take two facts.

What one fact says is what the other is about, and the question does not name it.
"""

from collections.abc import Sequence
from random import Random

from facts import AskedFact, statement

from sharedllm_core.training.tasks import FactKind
from sharedllm_core.training.tasks.pools import Pool

__all__ = ["chained_facts", "pairs"]

_DIRECT = 0.3  # how often each half of a chain is also asked for alone


def pairs(kinds: Sequence[FactKind]) -> list[tuple[FactKind, FactKind]]:
    """Kinds of which the first says what the second is about."""
    about: dict[Pool, list[FactKind]] = {}
    for kind in kinds:
        if kind.via:
            about.setdefault(kind.key, []).append(kind)
    return [(first, second) for first in kinds for second in about.get(first.value, ()) if first is not second]


def chained_facts(
    count: int, linked: Sequence[tuple[FactKind, FactKind]], rng: Random
) -> tuple[list[str], list[AskedFact]]:
    """Sentences in an order, and so many questions about them, which have no sentences of their own.

    Args:
        count: of questions.
        linked: to draw from, see `pairs`.
        rng: for all choices.
    """
    sentences: list[str] = []
    asked: list[AskedFact] = []
    while len(asked) < count:
        first, second = rng.choice(linked)
        chains = rng.randint(1, 3)
        for key, between in zip(first.key.family(rng, chains), second.key.family(rng, chains), strict=True):
            value = second.value.draw(rng)
            sentences.append(statement(first, rng.choice(first.facts), key, between, rng))
            sentences.append(statement(second, rng.choice(second.facts), between, value, rng))
            phrase = rng.choice(first.phrases).format(key=key)
            asked.append(AskedFact("", rng.choice(second.via).format(via=phrase), value))
            if rng.random() < _DIRECT:
                asked.append(AskedFact("", rng.choice(first.questions).format(key=key), between))
            if rng.random() < _DIRECT:
                asked.append(AskedFact("", rng.choice(second.questions).format(key=between), value))
    rng.shuffle(sentences)
    rng.shuffle(asked)
    return sentences, asked[:count]

"""Rows of sentences for step 3 of the embedded model with questions that take two facts.

What one fact says is what the other is about, and the question does not name it.
"""

from collections.abc import Sequence
from random import Random

from facts import AskedFact, statement

from sharedllm_core.training.tasks import FactKind

__all__ = ["chained_facts"]

_DIRECT = 0.3  # how often each half of a chain is also asked for alone


def chained_facts(
    count: int, pairs: Sequence[tuple[FactKind, FactKind]], rng: Random
) -> tuple[list[str], list[AskedFact]]:
    """Sentences in an order, and so many questions about them, which have no sentences of their own.

    Args:
        count: of questions.
        pairs: of linked kinds, to draw from.
        rng: for all choices.
    """
    sentences: list[str] = []
    asked: list[AskedFact] = []
    while len(asked) < count:
        first, second = rng.choice(pairs)
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

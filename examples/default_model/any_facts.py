"""Facts of any shape for step 3 of the embedded model: so that it learns to look up, and not sorts of facts by heart.

*Framed* facts are a name and a value among random words, and the question has the name and some of the words, or quite
other ones: only what the question leaves out tells the answer. *Blanks* are sentences of the training texts: the
question has some words of a sentence, and the answer is a part of it that the question leaves out.
"""

import re
from collections.abc import Callable, Sequence
from random import Random

from facts import AskedFact

from sharedllm_core.training.tasks import KINDS

_KINDS = [kind for kind in KINDS.values() if not kind.held_out]
_SMALL = ("the", "of", "a", "in", "on", "for", "with", "by", "at", "to", "under", "from", "its")
_BEFORE = (
    "is",
    "was",
    "has",
    "are",
    ":",
    "=",
    "->",
    "at",
    "by",
    "to",
    "in",
    "for",
    "on",
    "with",
    "of",
    "had",
    "|",
    "(",
)
_ENDS = (".", ".", ".", "", ";", ",")
_ASKING = ("What", "Which", "Who", "When", "Where", "How many", "How much", "Tell me", "Name", "Find")
_LETTERS = "ABCDEFGHKLMNPRSTUVWXZ"
_BLANK = re.compile(r"\b(?:[A-Z][a-z]+(?: [A-Z][a-z]+)*|\d[\d.,:/-]*\d|\d+|[a-z]{4,}(?: [a-z]{5,})?)\b")
_SENTENCE = re.compile(r"[A-Z][^.!?\n|]{40,180}[.!?]")
_PLACE_CHARACTERS = 6_000


def framed_facts(count: int, words: Sequence[str], rng: Random) -> list[AskedFact]:
    """Names and values among random words; several are often alike but for name and value."""
    facts: list[AskedFact] = []
    while len(facts) < count:
        frame = _Frame(words, rng)
        for key in any_keys(words, rng, rng.randint(1, 3)):
            value = value_maker(words, rng)()
            if not any(value == fact.answer or key in fact.question for fact in facts):
                facts.append(AskedFact(frame.stated(key, value), frame.asked(key, rng), value))
    return facts[:count]


def blanks(count: int, texts: Sequence[str], rng: Random) -> list[AskedFact]:
    """Sentences from one place of a text, and what the questions about them leave out."""
    facts: list[AskedFact] = []
    while len(facts) < count:
        text = rng.choice(texts)
        start = rng.randrange(max(1, len(text) - _PLACE_CHARACTERS))
        sentences = _SENTENCE.findall(text[start : start + _PLACE_CHARACTERS])
        facts += [fact for sentence in sentences if (fact := _blank(sentence, rng)) is not None]
    return facts[:count]


def _blank(sentence: str, rng: Random) -> AskedFact | None:
    found = [match for match in _BLANK.finditer(sentence) if match.start()]
    striking = [match for match in found if not match.group()[0].islower()]
    if not found:
        return None
    blank = rng.choice(striking if striking and rng.random() < 0.7 else found)
    before, after = sentence[: blank.start()], sentence[blank.end() :]
    around = re.findall(r"\w+", before)[-12:] + re.findall(r"\w+", after)[:8]
    kept = [word for word in around if rng.random() < (0.85 if len(word) > 3 else 0.5)]
    if len(kept) < 3 or blank.group() in kept:
        return None
    return AskedFact(sentence.strip(), f"{rng.choice(_ASKING)} {' '.join(kept)}?", blank.group())


class _Frame:
    """Words around a name and a value, in an order."""

    OTHERWISE = 0.4  # how often a question has nothing in common with the fact but the name

    def __init__(self, words: Sequence[str], rng: Random) -> None:
        self._words = words
        self._what = [rng.choice(words) for _ in range(rng.randint(1, 3))]
        self._lead = [rng.choice(words) for _ in range(rng.choice((0, 0, 1, 3)))]
        self._tail = [rng.choice(words) for _ in range(rng.choice((0, 0, 1, 2, 4)))]
        self._before, self._small, self._end = rng.choice(_BEFORE), rng.choice(_SMALL), rng.choice(_ENDS)
        self._asking = rng.choice(_ASKING)
        self._order = rng.randrange(4)

    def stated(self, key: str, value: str) -> str:
        middle = (
            [*self._what, self._small, key, self._before, value],
            [key, *self._what, self._before, value],
            [value, self._before, *self._what, self._small, key],
            [key, self._before, value, self._small, *self._what],
        )[self._order]
        lead = [self._lead[0].capitalize(), *self._lead[1:]] if self._lead else []  # names and values stay as they are
        return " ".join([*lead, *middle, *self._tail]) + self._end

    def asked(self, key: str, rng: Random) -> str:
        if rng.random() < self.OTHERWISE:
            some = rng.sample(self._words, len(self._what))
        else:
            some = [word for word in self._what if rng.random() < 0.7]
        if rng.random() < 0.3:
            rng.shuffle(some)
        parts = [*some, rng.choice(_SMALL), key] if rng.random() < 0.6 else [key, *some]
        return " ".join([self._asking, *rng.choice((["is"], ["the"], ["was"], ["does"], [])), *parts]) + "?"


def any_keys(words: Sequence[str], rng: Random, count: int) -> list[str]:
    """So many names, or fewer, that could be mistaken for each other."""
    if rng.random() < 0.5:
        return rng.choice(_KINDS).key.family(rng, count)
    shared = [rng.choice(words) for _ in range(rng.randint(0, 2))]
    first = rng.random() < 0.5
    names = [[_name(words, rng) for _ in range(rng.randint(1, 2))] for _ in range(count)]
    return list(dict.fromkeys(" ".join([*name, *shared] if first else [*shared, *name]) for name in names))


def value_maker(words: Sequence[str], rng: Random) -> Callable[[], str]:
    """What draws values of one sort: of a kind, numbers, words, names, or signs."""
    kind = rng.choice(_KINDS)
    makes = (
        lambda: kind.value.draw(rng),
        lambda: _number(words, rng),
        lambda: " ".join(rng.choice(words) for _ in range(rng.randint(1, 3))),
        lambda: " ".join(_name(words, rng) for _ in range(rng.randint(1, 2))),
        lambda: f"{_letters(rng)}{rng.choice('-/ ')}{rng.randrange(10, 9999)}",
        lambda: rng.choice("/_.-").join(rng.choice(words) for _ in range(rng.randint(2, 3))),
        lambda: _composed(words, rng),
    )
    return rng.choices(makes, (2, 1, 1, 1, 1, 1, 3))[0]


def _number(words: Sequence[str], rng: Random) -> str:
    whole = rng.randrange(10 ** rng.randint(1, 6))
    forms = (f"{whole}", f"{whole:,}", f"{whole / 10}", f"{whole}%", f"{whole / 100:.2f}")
    return rng.choice((*forms, f"{whole} {rng.choice(words)}"))


def _letters(rng: Random) -> str:
    return "".join(rng.choice(_LETTERS) for _ in range(rng.randint(1, 3)))


def _composed(words: Sequence[str], rng: Random) -> str:
    """Two to five parts with one or two signs between them, as times, places, paths, measures and numbers have."""
    signs = (" ", "-", "/", ".", "_", ":", ", ", " x ", f" {rng.choice(_SMALL)} ", f" {rng.choice(words)} ")
    between = rng.sample(signs, rng.choice((1, 1, 2)))
    makes = (
        lambda: str(rng.randrange(10 ** rng.randint(1, 5))),
        lambda: f"{rng.randrange(2000)}.{rng.randrange(1000)}",
        lambda: rng.choice(words),
        lambda: _name(words, rng),
        lambda: _letters(rng),
    )
    kinds = rng.sample(makes, rng.choice((1, 2, 2, 3)))
    value = rng.choice(kinds)()
    for _ in range(rng.randint(1, 4)):
        value += rng.choice(between) + rng.choice(kinds)()
    return rng.choice(("", "", "", "/", "$", "+", "-", "#")) + value + rng.choice(("", "", "", "", "%", ".txt", "()"))


def _name(words: Sequence[str], rng: Random) -> str:
    """A capitalised word, or one of two halves that nobody has seen together."""
    if rng.random() < 0.5:
        return rng.choice(words).capitalize()
    one, other = rng.choice(words), rng.choice(words)
    return (one[: rng.randint(2, 4)] + other[-rng.randint(2, 4) :]).capitalize()

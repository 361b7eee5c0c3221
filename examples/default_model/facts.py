"""Rows full of facts for step 3 of the embedded model: a few sentences, and a question about each.

Look-up tasks over documents (`sharedllm_core.training.tasks`) have one fact among hundreds of tokens. Here every
sentence is asked for, so that a step of training shows twenty times as many questions. Three things keep the model from
learning the wordings by heart: words are dropped and put in at random, questions are also made of noun phrases, and a
share of the facts is made up of random words ("the silver harbour of the Sorrath lease agreement is 412 days").
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from sharedllm_core.training.tasks import KINDS, NO_ANSWER, FactKind, Split
from sharedllm_core.training.tasks.phrasing import own

DROPPED, PUT_IN = 0.12, 0.1  # shares of words
# How often a thing that is asked for in vain is not named at all. If it mostly were, and only what is asked about it
# were not said, the model would look for the words of the question, and give up on all wordings that are new to it.
UNNAMED = 0.75
_KINDS = [kind for kind in KINDS.values() if not kind.held_out]
_LEADS = ("According to the documents: ", "I need to know: ", "Look it up. ", "Please tell me: ", "Quick question. ")
_ASKING_FOR_PHRASES = ("What is {phrase}?", "Name {phrase}.", "Tell me {phrase}.", "Give {phrase}.")
_MADE_UP_FACTS = (
    "The {what} of {key} is {value}.",
    "{key} has a {what} of {value}.",
    "{key}: {what} {value}.",
    "For {key}, the {what} was set to {value}.",
    "They recorded {value} as the {what} of {key}.",
    "{value} is the {what} of {key}.",
    "| {key} | {what} | {value} |",
    "{what} ({key}): {value}",
    "It was agreed that the {what} of {key} should be {value}.",
    "As to {key}, its {what} came to {value}.",
    "The files give {value} for the {what} of {key}.",
    "In that year {key} had {value} for its {what}.",
    "{key} reports the following {what}: {value}.",
    "Nobody doubted that {value} was the {what} of {key}.",
    "{what} of {key} = {value}",
    "Since the spring, {key} lists {value} under {what}.",
)
_MADE_UP_QUESTIONS = (
    "What is the {what} of {key}?",
    "Give the {what} of {key}.",
    "Which {what} does {key} have?",
    "{key}: what {what}?",
    "Tell me the {what} of {key}.",
    "What was recorded as the {what} of {key}?",
    "What {what} was set for {key}?",
    "For {key}, what is the {what}?",
    "How is the {what} of {key} given?",
    "Name the {what} of {key}.",
    "What do the files say about the {what} of {key}?",
    "Find {what}, {key}.",
)


class AskedFact(NamedTuple):
    """A sentence, a question that it answers, and the answer; no sentence where nothing is said."""

    text: str
    question: str
    answer: str


def common_words(texts: Iterable[str], at_least: int = 4) -> list[str]:
    """Lower-case words of 4 to 12 letters that occur so often, in the order of their first occurrence."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(re.findall(r"\b[a-z]{4,12}\b", text[:60_000]))
    return [word for word, times in found.items() if times >= at_least]


def stated_facts(
    count: int,
    words: Sequence[str],
    rng: Random,
    *,
    kinds: Sequence[FactKind] = (),
    noisy: bool = True,
    split: Split = "train",
    unsaid: float = 0.33,
) -> list[AskedFact]:
    """Facts of some kinds, often of one kind about things with similar names, and of several about a thing.

    Args:
        count: how many.
        words: to put in.
        rng: for all choices.
        kinds: the generator's if there are none.
        noisy: whether words are dropped and put in, and phrases asked for.
        split: which phrasings.
        unsaid: how often one question asks for what is not said, mostly of a thing that is only like one that is named.
    """
    kinds = kinds or _KINDS
    about: dict[tuple[FactKind, str], bool] = {}
    while len(about) < count:
        some = [kind := rng.choice(kinds)]
        if rng.random() < 0.5:  # so that the thing alone does not tell the answer
            others = [other for other in kinds if other.key is kind.key and other is not kind]
            some += rng.sample(others, min(len(others), rng.randint(1, 2)))
        keys = kind.key.family(rng, rng.randint(2, 4) if rng.random() < 0.5 else 1)
        pairs = [(kind, key) for key in keys for kind in some]
        rng.shuffle(pairs)
        silent = pairs[0] if len(pairs) > 1 and rng.random() < unsaid and not any(about.values()) else None
        if silent and rng.random() < UNNAMED:
            pairs = [pair for pair in pairs if pair is silent or pair[1] != silent[1]]
        about |= {pair: pair is silent for pair in pairs if pair not in about}
    facts: list[AskedFact] = []
    for (kind, key), is_silent in list(about.items())[:count]:
        value = kind.value.draw(rng)
        text = statement(kind, rng.choice(own(kind.facts, split)), key, value, rng)
        question = rng.choice(own(kind.questions, split))
        if noisy:
            text = _noisy(text, (key, value), words, rng)
            if rng.random() < 0.3:
                phrase = rng.choice(own(kind.phrases, split))
                question = rng.choice(_ASKING_FOR_PHRASES).replace("{phrase}", phrase)
            question = _varied(question, rng)
        said = (text, value) if not is_silent else ("", NO_ANSWER)
        facts.append(AskedFact(said[0], question.format(key=key), said[1]))
    return facts


def statement(kind: FactKind, pattern: str, key: str, value: str, rng: Random) -> str:
    """One of the kind's patterns, with neighbours drawn where it has some."""
    beside = {f"key{n}": kind.key.draw(rng) for n in "23"} | {f"value{n}": kind.value.draw(rng) for n in "23"}
    return pattern.format(key=key, value=value, **beside)


def made_up_facts(count: int, words: Sequence[str], rng: Random) -> list[AskedFact]:
    """Facts about random properties; things have up to three, so that only the property tells them apart."""
    keys = [rng.choice(_KINDS).key.draw(rng) for _ in range(max(1, count // rng.choice((1, 2, 3))))]
    return [made_up_fact(rng.choice(_KINDS), words, rng, rng.choice(keys))[0] for _ in range(count)]


def made_up_fact(kind: FactKind, words: Sequence[str], rng: Random, key: str = "") -> tuple[AskedFact, str, str]:
    """A random property of a thing, with a value of the kind; the property, and the thing."""
    what = " ".join(rng.choice(words) for _ in range(rng.choice((1, 1, 2))))
    parts = {"what": what, "key": key or kind.key.draw(rng), "value": kind.value.draw(rng)}
    question = _varied(rng.choice(_MADE_UP_QUESTIONS), rng)
    fact = AskedFact(rng.choice(_MADE_UP_FACTS).format(**parts), question.format(**parts), parts["value"])
    return fact, what, parts["key"]


def _noisy(text: str, kept: Sequence[str], words: Sequence[str], rng: Random) -> str:
    if rng.random() < 0.5:
        return text
    for number, part in enumerate(kept):
        text = text.replace(part, chr(number), 1)
    noisy: list[str] = []
    for word in text.split(" "):
        if rng.random() < PUT_IN:
            noisy.append(rng.choice(words))
        if any(chr(number) in word for number in range(len(kept))) or rng.random() >= DROPPED:
            noisy.append(word)
    text = " ".join(noisy)
    for number, part in enumerate(kept):
        text = text.replace(chr(number), part)
    return text


def _varied(question: str, rng: Random) -> str:
    """A pattern of a question with words dropped, and sometimes words before it."""
    if rng.random() < 0.5:
        kept = [word for word in question.split() if "{" in word or rng.random() >= DROPPED]
        question = " ".join(kept) or question
    return (rng.choice(_LEADS) if rng.random() < 0.4 else "") + question

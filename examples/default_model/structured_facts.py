"""Rows of sentences for step 3 of the embedded model with answers in JSON: objects, and calls of functions.

Names of fields, functions and parameters are drawn anew for every question. With a few of them, a small model learns
these few by heart and writes the most alike of them in place of the one that it is asked for.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from facts import AskedFact, made_up_fact, statement

from sharedllm_core.training.tasks import FactKind, pools
from sharedllm_core.training.tasks.forms.structured import CALL_QUESTIONS, JSON_QUESTIONS, compact
from sharedllm_core.training.tasks.phrasing import training_phrasings

__all__ = ["structured_facts"]

_OBJECT_QUESTIONS = (
    *training_phrasings(JSON_QUESTIONS),
    *training_phrasings(JSON_QUESTIONS),
    "Make a JSON object: {fields}.",
    "Reply in JSON. Fields: {fields}.",
    "As JSON, please: {fields}.",
    "One JSON object with {fields}, nothing around it.",
)
_REQUESTS = (
    "{action} with {parts}.",
    "Please {action}: {parts}.",
    "I want you to {action}, using {parts}.",
    "{action}. Use {parts}.",
    "Time to {action} ({parts}).",
    "Could you {action} with {parts}?",
    "{parts}: {action} with these.",
)
_MADE_UP = 0.25


class _Said(NamedTuple):
    """A sentence, what means its value, the value, and the kind's name."""

    text: str
    phrase: str
    value: str
    name: str


def structured_facts(
    count: int, words: Sequence[str], kinds: Sequence[FactKind], rng: Random
) -> tuple[list[str], list[AskedFact]]:
    """Sentences in an order, and so many questions about them, which have no sentences of their own.

    Args:
        count: of questions.
        words: for names.
        kinds: to draw from.
        rng: for all choices.
    """
    said: list[_Said] = []
    while len(said) < count:
        said += _about_one_thing(words, kinds, rng)
    rng.shuffle(said)
    asked = [(_object if rng.random() < 0.5 else _call)(rng.sample(said, 2), words, rng) for _ in range(count)]
    return [one.text for one in said], asked


def _about_one_thing(words: Sequence[str], kinds: Sequence[FactKind], rng: Random) -> list[_Said]:
    """One fact, or two that are easily confused."""
    if rng.random() < _MADE_UP:
        fact, what, key = made_up_fact(rng.choice(kinds), words, rng)
        return [_Said(fact.text, f"the {what} of {key}", fact.answer, what.replace(" ", "_"))]
    kind = rng.choice(kinds)
    said = []
    for key in kind.key.family(rng, rng.choice((1, 1, 2))):
        value = kind.value.draw(rng)
        text = statement(kind, rng.choice(kind.facts), key, value, rng)
        said.append(_Said(text, rng.choice(kind.phrases).format(key=key), value, kind.name))
    return said


def _object(said: Sequence[_Said], words: Sequence[str], rng: Random) -> AskedFact:
    """One or two values, or one and a text that the question gives."""
    fields: list[tuple[str, str]] = []
    answer: dict[str, str] = {}
    asked = list(said[: rng.choice((1, 2))])
    with_reference = len(asked) == 1 and rng.random() < 0.7
    for one in asked:
        name = _field(one, words, rng)
        while name in answer:
            name = _made_up_name(words, rng)
        answer[name] = one.value
        fields.append((name, one.phrase))
    if with_reference:
        name = "reference" if rng.random() < 0.5 else _made_up_name(words, rng)
        given = _literal(words, rng)
        fields.insert(rng.choice((0, 1)), (name, f'the text "{given}"'))
        answer[name] = given
    listed = ", ".join(f'"{name}" ({phrase})' for name, phrase in fields)
    question = rng.choice(_OBJECT_QUESTIONS).format(fields=listed)
    return AskedFact("", question, compact({name: answer[name] for name, _ in fields}))


def _call(said: Sequence[_Said], words: Sequence[str], rng: Random) -> AskedFact:
    """A function of one to three parameters; one argument is mostly looked up, the others are given."""
    verb, noun = rng.choice(words), rng.choice(words)
    names = list({_made_up_name(words, rng): None for _ in range(rng.randint(1, 3))})
    looked_up = rng.choice(names) if len(names) == 1 or rng.random() < 0.75 else ""
    types: dict[str, str] = {}
    arguments: dict[str, Any] = {}
    parts = []
    for name in names:
        types[name] = "string"
        if name == looked_up:
            arguments[name] = said[0].value
            parts.append(f"{said[0].phrase} as the {name.replace('_', ' ')}")
        elif rng.random() < 0.4:
            types[name] = "integer"
            arguments[name] = rng.randint(2, 9_900)
            parts.append(f"{name.replace('_', ' ')} {arguments[name]}")
        else:
            arguments[name] = _literal(words, rng)
            parts.append(f'{name.replace("_", " ")} "{arguments[name]}"')
    rng.shuffle(parts)
    function = f"{verb}_{noun}"
    signature = f"{function}({', '.join(f'{name}: {kind}' for name, kind in types.items())})"
    request = rng.choice(_REQUESTS).format(action=f"{verb} the {noun}", parts=", ".join(parts))
    request = request[0].upper() + request[1:]
    question = rng.choice(training_phrasings(CALL_QUESTIONS)).format(signature=signature, request=request)
    return AskedFact("", question, compact({"name": function, "arguments": arguments}))


def _field(one: _Said, words: Sequence[str], rng: Random) -> str:
    """Mostly what the kind is called, without the first word of written ones, or any words."""
    if rng.random() < 0.6:
        return one.name if rng.random() < 0.5 or "_" not in one.name else one.name.partition("_")[2]
    return _made_up_name(words, rng)


def _made_up_name(words: Sequence[str], rng: Random) -> str:
    return "_".join(rng.choice(words) for _ in range(rng.choice((1, 1, 2))))


def _literal(words: Sequence[str], rng: Random) -> str:
    makes: tuple[Callable[[Random], str], ...] = (
        pools.LITERAL.draw,
        pools.LITERAL.draw,
        pools.PERSON.draw,
        pools.FILE.draw,
        pools.TOWN.draw,
        lambda rng: " ".join(rng.choice(words) for _ in range(rng.randint(1, 3))),
    )
    return rng.choice(makes)(rng)

"""RULER's needles in a haystack: eight families that differ in keys, values, haystack and how many are asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from random import Random
from typing import Literal

from .. import Document
from ..training.tasks import Text
from ..training.tasks.haystack import compose, trim
from ..training.tasks.placement import place
from .measurement import Question
from .ruler_words import NOISE, compounds, numbers, uuids
from .settings import EvaluationSettings

__all__ = ["NEEDLES", "NeedleFamily", "filled", "needle_lines", "needles"]

Kind = Literal["words", "numbers", "uuids"]
_PASSAGE_CHARACTERS = (1_500, 8_000)


@dataclass(frozen=True, kw_only=True)
class NeedleFamily:
    """The parameters that RULER publishes for a family.

    Attributes:
        haystack: repeated plain lines, texts, or lines like the needles with other keys.
        keys_of, values_of: what keys and values are.
        keys: how many keys there are.
        values: how many values each key has.
        queries: how many keys are asked for.
    """

    haystack: Literal["noise", "texts", "needles"] = "texts"
    keys_of: Kind = "words"
    values_of: Kind = "numbers"
    keys: int = 1
    values: int = 1
    queries: int = 1


NEEDLES: dict[str, NeedleFamily] = {
    "niah_single_1": NeedleFamily(haystack="noise"),
    "niah_single_2": NeedleFamily(),
    "niah_single_3": NeedleFamily(values_of="uuids"),
    "niah_multikey_1": NeedleFamily(keys=4),
    "niah_multikey_2": NeedleFamily(haystack="needles"),
    "niah_multikey_3": NeedleFamily(haystack="needles", keys_of="uuids", values_of="uuids"),
    "niah_multivalue": NeedleFamily(values=4),
    "niah_multiquery": NeedleFamily(keys=4, queries=4),
}

_NOUN = {"words": "word", "numbers": "number", "uuids": "code"}


def needles(
    family: NeedleFamily, settings: EvaluationSettings, length: int, pool: Sequence[Text], rng: Random
) -> tuple[list[Document], Question]:
    """Documents with needles, and the question for them."""
    noun = _NOUN[family.values_of]
    extra = length // 8 if family.haystack == "needles" else 0  # no line has fewer than eight tokens
    every_key = _drawn(family.keys_of, rng, family.keys + extra)
    every_value = _drawn(family.values_of, rng, family.keys * family.values + extra)
    keys, drawn = every_key[: family.keys], every_value[: family.keys * family.values]
    values = {key: drawn[at * family.values : (at + 1) * family.values] for at, key in enumerate(keys)}
    lines = [_line(noun, key, value) for key in keys for value in values[key]]
    room = length - sum(settings.count(f"\n{line}") for line in lines)
    if family.haystack == "texts":
        passages = trim(compose(pool, rng, room, settings.count, _PASSAGE_CHARACTERS), room, settings.count)
        placed, _ = place(passages, [(line, rng.random()) for line in lines], rng)
        documents = [Document(document["text"], id=document["id"]) for document in placed]
    else:
        others = zip(every_key[len(keys) :], every_value[len(drawn) :], strict=True)
        hay = filled((_line(noun, *pair) for pair in others) if extra else cycle(NOISE), settings, room)
        for line in lines:
            hay.insert(rng.randint(0, len(hay)), line)
        documents = [Document("\n".join(hay), id="notes")]
    asked = rng.sample(keys, family.queries)
    expected = tuple(value for key in asked for value in values[key])
    many = len(expected) > 1
    text = (
        f"Which special {noun}{'s are' if many else ' is'} given for {_listed(asked)} in the text? "
        f"Answer with {'all of them, separated by commas' if many else f'the {noun} alone'}."
    )
    return documents, Question(text, expected)


def needle_lines(documents: Sequence[Document], family: NeedleFamily) -> list[tuple[str, str]]:
    """The needles of documents as (key, value), in their order."""
    head, middle = f"The special {_NOUN[family.values_of]} for ", " is "
    found = []
    for document in documents:
        for part in document.text.split(head)[1:]:
            key, rest = part.split(middle, 1)
            found.append((key, rest.split()[0].rstrip(".")))
    return found


def _line(noun: str, key: str, value: str) -> str:
    return f"The special {noun} for {key} is {value}."


def _drawn(kind: Kind, rng: Random, count: int) -> list[str]:
    if kind == "words":
        return compounds(rng, count)
    return numbers(rng, count) if kind == "numbers" else uuids(rng, count)


def filled(lines: Iterable[str], settings: EvaluationSettings, room: int) -> list[str]:
    """As many lines as there is room for, to within half a line."""
    taken: list[str] = []
    count = cache(lambda line: settings.count(f"\n{line}"))
    for line in lines:
        tokens = count(line)
        if tokens > 2 * room:
            break
        taken.append(line)
        room -= tokens
    return taken


def _listed(keys: Sequence[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{', '.join(keys[:-1])} and {keys[-1]}"

"""Facts of any shape, in sentences of any shape: so that finding and copying do not hang on the generator's wordings.

Sentences of books and manuals lose some of their words to a key, a value and sometimes a second value of another sort.
The question has the key, some of the sentence's words, and mostly a word that says what sort of value it wants. Values
are numbers with points, codes, paths, coordinates, names, phrases and the like: where one ends has to be read off the
sentence, and is not to be known from other facts.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import NamedTuple

from facts import AskedFact

from sharedllm_core.training.tasks import KINDS
from sharedllm_core.training.tasks.vocabulary import MONTHS, WEEKDAYS

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_POOLS = [kind.key for kind in KINDS.values() if not kind.held_out]


class _Sort(NamedTuple):
    """Values of a sort, and words that ask for it."""

    hints: tuple[str, ...]
    draw: Callable[[Random, Sequence[str]], str]


def _number(rng: Random) -> str:
    size = 10 ** rng.randint(1, 5)
    return rng.choice(
        (f"{rng.randrange(size)}", f"{rng.randrange(size):,}", f"{rng.random() * size:.{rng.randint(1, 3)}f}")
    )


def _code(rng: Random, words: Sequence[str]) -> str:
    def part() -> str:
        return rng.choice((
            "".join(rng.choices(_LETTERS, k=rng.randint(1, 3))),
            str(rng.randrange(10 ** rng.randint(1, 4))),
            rng.choice(words),
            f"{rng.choice(_LETTERS)}{rng.randrange(100)}",
        ))  # fmt: skip

    return rng.choice(("-", ".", "_", "/", ":", "")).join(part() for _ in range(rng.randint(2, 4)))


def _path(rng: Random, words: Sequence[str]) -> str:
    steps = [rng.choice(words) + rng.choice(("", "", f"-{rng.randrange(100)}")) for _ in range(rng.randint(2, 4))]
    tail = rng.choice(("", ".log", ".json", ".cfg", ".txt", ".py"))
    return rng.choice(("/", "https://", "./", "~/")) + "/".join(steps) + tail


def _date(rng: Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randrange(12), rng.randint(1500, 2100)
    return rng.choice((
        f"{day} {MONTHS[month]} {year}",
        f"{MONTHS[month]} {day}, {year}",
        f"{year}-{month + 1:02}-{day:02}",
        f"{day} {MONTHS[month]}",
        f"{rng.choice(WEEKDAYS)} at {rng.randint(0, 23):02}:{rng.randint(0, 59):02}",
        f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}",
    ))  # fmt: skip


def _capitals(rng: Random, words: Sequence[str], most: int) -> str:
    return " ".join(rng.choice(words).capitalize() for _ in range(rng.randint(1, most)))


def _person(rng: Random, words: Sequence[str]) -> str:
    title = rng.choice(("", "", "", "Dr. ", "Captain ", f"{rng.choice(_LETTERS)}. "))
    return title + _capitals(rng, words, 2)


def _place(rng: Random, words: Sequence[str]) -> str:
    north, east = rng.random() * 90, rng.random() * 180
    where = f"{north:.3f} {rng.choice('NS')} {east:.3f} {rng.choice('EW')}"
    return rng.choice(
        (_capitals(rng, words, 2), _capitals(rng, words, 1) + " " + rng.choice(("Street", "Hill")), where)
    )


def _measure(rng: Random, words: Sequence[str]) -> str:
    return f"{_number(rng)} {' '.join(rng.choices(words, k=rng.randint(1, 2)))}"


def _money(rng: Random) -> str:
    return rng.choice(("${}", "{} euros", "EUR {}", "£{}", "{} dollars", "{} million")).format(_number(rng))


def _phrase(rng: Random, words: Sequence[str]) -> str:
    said = " ".join(rng.choices(words, k=rng.randint(1, 4)))
    return rng.choice(("{}", "{}", "the {}", "a {}", '"{}"')).format(said)


_SORTS = (
    _Sort(("how many", "what number", "how much", "which figure"), lambda rng, _: _number(rng)),
    _Sort(("which code", "what identifier", "which number", "what is the code"), _code),
    _Sort(("which file", "what path", "where", "which address"), _path),
    _Sort(("when", "which date", "what day", "at what time", "by when"), lambda rng, _: _date(rng)),
    _Sort(("who", "whose name", "which person", "whom"), _person),
    _Sort(("where", "which place", "what town", "at what position"), _place),
    _Sort(("how much", "how many", "what measure", "how far", "how long"), _measure),
    _Sort(("how much", "what price", "what amount", "which sum"), lambda rng, _: _money(rng)),
    _Sort(("what", "which words", "which thing", "what was it"), _phrase),
)


def sentences_of(texts: Iterable[str], most: int = 40_000) -> list[str]:
    """Sentences of 6 to 20 words without digits."""
    found: list[str] = []
    for text in texts:
        for sentence in re.findall(r"[A-Z][^.!?\n\d{}]{30,120}[.!?;]", text[20_000:80_000]):
            if 6 <= len(sentence.split()) <= 20:
                found.append(sentence)
                if len(found) == most:
                    return found
    return found


def facts_of_any_shape(count: int, sentences: Sequence[str], words: Sequence[str], rng: Random) -> list[AskedFact]:
    """Facts in changed sentences. Half of the time one sentence serves for several keys that are easily confused.

    Args:
        count: how many.
        sentences: to change.
        words: to make values of.
        rng: for all choices.
    """
    facts: list[AskedFact] = []
    while len(facts) < count:
        alike = rng.randint(2, 4) if rng.random() < 0.5 else 1
        pattern, asked = _pattern(rng.choice(sentences), rng)
        sorts = rng.sample(_SORTS, 2)
        for key in _keys(alike, words, rng):
            values = [sort.draw(rng, words) for sort in sorts]
            text = pattern.replace("\0", key).replace("\1", values[0]).replace("\2", values[1])
            about = 1 if "\2" in pattern and rng.random() < 0.5 else 0
            hint = rng.choice(sorts[about].hints) if "\2" in pattern or rng.random() < 0.7 else ""
            facts.append(AskedFact(text, _question(key, asked, hint, rng), values[about]))
    return facts[:count]


def _keys(count: int, words: Sequence[str], rng: Random) -> list[str]:
    if rng.random() < 0.6:
        return rng.choice(_POOLS).family(rng, count)
    draw = rng.choice((_code, _person, _place, _phrase))
    return [draw(rng, words) for _ in range(count)]


def _pattern(sentence: str, rng: Random) -> tuple[str, list[str]]:
    """A sentence with places for the key (\\0), the value (\\1) and sometimes another (\\2); and its longer words."""
    words = sentence.split()
    slots = ["\0", "\1", "\2"][: 3 if rng.random() < 0.4 else 2]
    places = sorted(rng.sample(range(len(words)), len(slots)))
    rng.shuffle(slots)
    for place, slot in zip(places, slots, strict=True):
        tail = re.sub(r"[\w'’-]", "", words[place])[-1:]  # a comma or a full stop stays
        words[place] = slot + (tail if tail in ".,;:!?" else "")
    return " ".join(words), [w for word in words if len(w := re.sub(r"\W", "", word)) >= 4]


def _question(key: str, asked: list[str], hint: str, rng: Random) -> str:
    words = [word for word in asked if rng.random() < 0.6]
    if rng.random() < 0.25:
        rng.shuffle(words)
    about = " ".join(words)
    parts = (hint, about, key) if rng.random() < 0.5 else (hint, key, about)
    question = " ".join(part for part in parts if part)
    return question[:1].upper() + question[1:] + rng.choice(("?", "?", "", "."))

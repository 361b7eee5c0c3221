"""RULER's families beside the needles: variable tracking, common and frequent words, question answering."""

from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from random import Random

from .. import Document
from .measurement import Question
from .ruler_needles import filled
from .ruler_words import NOISE, coded_words, compounds, numbers, variables
from .settings import EvaluationSettings
from .squad import Article

__all__ = ["common_words", "frequent_words", "question_answering", "variable_tracking"]

_HOPS = 4
_COMMON_WORDS = 10
_SHORT = 4_096  # tokens, below which common words occur less often
_ALPHA = 2.0
_ZETA = 1.6449340668482264  # of 2
_NOTHING = "..."  # the most frequent of coded words, which is not asked for


def variable_tracking(settings: EvaluationSettings, length: int, rng: Random) -> tuple[list[Document], Question]:
    """One chain of five variables: the first is given a value, each other one the variable before it."""
    names = variables(rng, _HOPS + 1)
    value = numbers(rng, 1, digits=5)[0]
    chain = [f"VAR {names[0]} = {value}"] + [f"VAR {names[at]} = VAR {names[at - 1]}" for at in range(1, _HOPS + 1)]
    room = length - sum(settings.count(f"\n{line}") for line in chain)
    lines = filled(cycle(NOISE), settings, room)
    places = sorted(rng.randint(0, len(lines)) for _ in chain)
    for place, line in reversed(list(zip(places, chain, strict=True))):
        lines.insert(place, line)
    text = (
        f"Which variables have the value {value}, directly or by way of other variables? There are {_HOPS + 1}. "
        "Answer with their names, separated by commas."
    )
    return [Document("\n".join(lines), id="assignments")], Question(text, tuple(names))


def common_words(settings: EvaluationSettings, length: int, rng: Random) -> tuple[list[Document], Question]:
    """A numbered list: ten words occur often (30 times, or 6 in short lists) and all others seldom (3, or 1)."""
    often, seldom = (30, 3) if length >= _SHORT else (6, 1)
    size = settings.count("1234. ambercandle\n")
    order = rng.getrandbits(64)
    pool = compounds(rng, _COMMON_WORDS + max(1, length // (seldom * 4)), joined_by="")
    common, others = pool[:_COMMON_WORDS], pool[_COMMON_WORDS:]

    def listed(number: int) -> str:
        words = common * often + others[:number] * seldom
        Random(order).shuffle(words)  # noqa: S311 (tasks are no secrets)
        return "\n".join(f"{at}. {word}" for at, word in enumerate(words, start=1))

    number = max(1, (length // size - _COMMON_WORDS * often) // seldom)
    for _ in range(4):  # words differ in tokens, so the number is corrected by what a list has
        tokens = settings.count(listed(number))
        per_line = tokens / (_COMMON_WORDS * often + number * seldom)
        number = min(len(others), max(1, number + round((length - tokens) / per_line / seldom)))
    text = f"Which {_COMMON_WORDS} words occur most often in the list? Answer with the words, separated by commas."
    return [Document(listed(number), id="list")], Question(text, tuple(common))


def frequent_words(settings: EvaluationSettings, length: int, rng: Random) -> tuple[list[Document], Question]:
    """Coded words whose frequencies follow a zeta distribution (α = 2); the three most frequent are asked for."""
    order = rng.getrandbits(64)
    pool = [_NOTHING, *coded_words(rng, max(50, length // 20))]

    def coded(number: int) -> str:
        words = [word for rank, word in enumerate(pool, start=1) for _ in range(round(number / (rank**_ALPHA * _ZETA)))]
        Random(order).shuffle(words)  # noqa: S311 (tasks are no secrets)
        return " ".join(words)

    number = length // 3
    for _ in range(6):
        number = max(100, round(number * length / settings.count(coded(number))))
    text = (
        "The text is in code. Which three coded words occur most often in it? Dots are no word. "
        "Answer with the words, separated by commas."
    )
    document = coded(number)
    counts = Counter(document.split())
    assert counts[pool[3]] > counts[pool[4]], "ranks are apart from 100 words on"
    return [Document(document, id="coded")], Question(text, tuple(pool[1:4]))


def question_answering(
    settings: EvaluationSettings, articles: Sequence[Article], length: int, rng: Random
) -> tuple[list[Document], Question]:
    """A paragraph that answers a question, among paragraphs that other questions are about."""
    paragraphs = [paragraph for article in articles for paragraph in article.paragraphs]
    gold = rng.choice([paragraph for paragraph in paragraphs if paragraph.questions])
    asked = rng.choice(gold.questions)
    chosen, room = [gold.text], length - settings.count(gold.text)
    for paragraph in rng.sample(paragraphs, len(paragraphs)):
        if room <= 0:
            break
        tokens = settings.count(paragraph.text)
        if paragraph.text not in chosen and tokens <= room + length // 50:
            chosen.append(paragraph.text)
            room -= tokens
    rng.shuffle(chosen)
    documents = [Document(text, id=f"Document {number}") for number, text in enumerate(chosen, start=1)]
    return documents, Question(f"{asked.text} Answer with a few words of the documents.", asked.expected)

"""How answers are compared with what is expected: the definitions of SQuAD, RULER and LongBench."""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "best",
    "exact_match",
    "has_whole",
    "is_refusal",
    "normalised",
    "same_text",
    "share_of_all",
    "some_found",
    "word_f1",
]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_REFUSAL = re.compile(
    r"\b(?:do|does|did) ?(?:not|n[o']t) (?:say|state|mention|specify|contain|provide|give|answer|know)"
    r"|\bnot (?:mentioned|stated|specified|provided|given|found|known|available|answered)\b"
    r"|\bno (?:information|answer|mention)\b|\bcan(?:not| not|'t) (?:be answered|answer)\b|\bunanswerable\b",
    re.IGNORECASE,
)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Text as SQuAD compares it: lower case, without punctuation, articles and needless blanks."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact_match(answer: str, expected: str) -> float:
    """1 if both are the same when normalised, else 0."""
    return float(normalised(answer) == normalised(expected))


def word_f1(answer: str, expected: str) -> float:
    """The harmonic mean of precision and recall of normalised words, each counted as often as it occurs."""
    said, wanted = normalised(answer).split(), normalised(expected).split()
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def best(compare: Callable[[str, str], float], answer: str, expected: Iterable[str]) -> float:
    """The best comparison with any of the accepted answers; 0 without any."""
    return max((compare(answer, one) for one in expected), default=0.0)


def share_of_all(answer: str, expected: Sequence[str]) -> float:
    """RULER's `string_match_all` for one answer: the share of the expected strings that it has, in any case."""
    return sum(one.lower() in answer.lower() for one in expected) / len(expected)


def some_found(answer: str, expected: Sequence[str]) -> float:
    """RULER's `string_match_part` for one answer: 1 if it has any of the expected strings, in any case."""
    return float(any(one.lower() in answer.lower() for one in expected))


def has_whole(answer: str, expected: str) -> float:
    """1 if the answer has the expected string, in any case and not within a longer word or number, else 0."""
    return float(re.search(rf"(?!\B\w){re.escape(expected)}(?<!\w\B)", answer, re.IGNORECASE) is not None)


def same_text(answer: str, expected: str) -> float:
    """1 if both are the same up to blanks, else 0."""
    return float(answer.split() == expected.split())


def is_refusal(answer: str) -> float:
    """1 if the answer is that the documents do not say it, in one of the usual wordings, else 0."""
    return float(_REFUSAL.search(answer) is not None)

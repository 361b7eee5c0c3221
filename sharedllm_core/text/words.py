"""Words of a text as features to search by: case, accents and inflection folded.

- Letters are compared in compatibility form, casefolded, without accents.
- Inflected forms share a stem (Snowball, chosen by script: English rules for Latin letters).
- Identifiers count whole and in parts: `maxTokens`, `max_tokens` and "max tokens" meet.
- Numbers count without separators: 1,000 and 1000 are the same.
- Scripts without spaces (Chinese, Japanese, Thai …) count by pairs of neighbouring characters.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import Stemmer

__all__ = ["query_words", "words_of"]

_ACCENT = re.compile("[\u0300-\u036f]")
#: Thai and Lao, Burmese, Khmer, Kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
)
_NUMBER = r"\d+(?:[.,'\u2019_\u00a0\u202f]\d+)*"
_TOKEN = re.compile(rf"[{_UNSPACED}]+|{_NUMBER}|(?![\d{_UNSPACED}])\w(?:(?![{_UNSPACED}])\w)*")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_NOT_DIGITS = re.compile(r"\D")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+")
_STEMMERS = {
    "LATIN": "english",
    "CYRILLIC": "russian",
    "GREEK": "greek",
    "ARABIC": "arabic",
    "ARMENIAN": "armenian",
    "DEVANAGARI": "hindi",
    "TAMIL": "tamil",
}
#: Function words, and words that questions are asked with: they say nothing about where an answer stands.
_STOPWORDS = """
a about above after again all also am an and any are aren as at be because been before being below between both but by
can cannot could couldn d did didn do does doesn doing don down during each few for from further had hadn has hasn have
haven having he her here hers herself him himself his how i if in into is isn it its itself just ll m me more most my
myself no nor not now o of off on once only or other our ours ourselves out over own please re s same shall she should
shouldn so some such t tell than that the their theirs them themselves then there these they this those through to too
under until up us ve very was wasn we were weren what when where which while who whom whose why will with won would
wouldn you your yours yourself yourselves
"""


def words_of(text: str) -> Iterator[str]:
    """Yield the features of a text, in order; an identifier yields several."""
    for found in _TOKEN.finditer(_folded(text)):
        token = found[0]
        if _IS_UNSPACED.match(token):
            yield from (token[at : at + 2] for at in range(max(1, len(token) - 1)))
        elif token[0].isdigit():
            yield _NOT_DIGITS.sub("", token)
        else:
            yield from _features(token)


def query_words(question: str) -> list[str]:
    """The features of a question without stopwords, each once; all of its features if nothing else is left."""
    features = dict.fromkeys(words_of(question))
    return [word for word in features if word not in _STOP_FEATURES] or list(features)


@lru_cache(maxsize=2**16)
def _features(token: str) -> tuple[str, ...]:
    """A word's stem; of an identifier also the stems of its parts."""
    parts = _PARTS.findall(token)
    whole = _stem("".join(parts).casefold() or token.casefold())
    return (whole,) if len(parts) < 2 else (whole, *(_stem(part.casefold()) for part in parts))


@lru_cache(maxsize=2**16)
def _stem(word: str) -> str:
    script = unicodedata.name(word[0], "").split(" ")[0]
    return _stemmer(_STEMMERS[script]).stemWord(word) if script in _STEMMERS else word


@lru_cache(maxsize=16)
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)


def _folded(text: str) -> str:
    """Text in compatibility form without accents; case is kept, since identifiers are split by it."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", text)))


_STOP_FEATURES = frozenset(words_of(_STOPWORDS))

"""Words of a text as features to search by: case, accents and inflection folded.

- Letters are compared in compatibility form, casefolded; Latin and Greek without accents, Arabic and Hebrew without
  vowel signs, Persian letters as their Arabic twins.
- Inflected forms share a stem (Snowball, chosen by script: English rules for Latin letters).
- Identifiers count whole and in parts: `maxTokens`, `max_tokens` and "max tokens" meet.
- Numbers count without thousands separators, and with a decimal point: 1,000 and 1000 are the same, 3,14 and 3.14 too.
- Scripts without spaces (Chinese, Japanese, Thai …) count by pairs of neighbouring characters; so does Korean, whose
  particles are written onto the word.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import regex
import Stemmer

__all__ = ["query_words", "words_of"]

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー]"
_NUMBER = r"\d+(?:[.,'\u2019_]\d+)*"
_ASCII_TOKEN = re.compile(rf"{_NUMBER}|[A-Za-z_]\w*")
_TOKEN = regex.compile(
    rf"(?P<unspaced>{_UNSPACED}[{_UNSPACED}\p{{M}}]*)"
    rf"|{_NUMBER}"
    rf"|[[\w]--[\d]--{_UNSPACED}][[\w\p{{M}}]--{_UNSPACED}]*",
    regex.V1,
)
_THOUSANDS_SPACE = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")
_THOUSANDS = re.compile(r"\d{1,3}(?:([.,'\u2019_])\d{3})(?:\1\d{3})*")
_SEPARATOR = re.compile(r"[,'\u2019_]")
_NOT_DIGITS = re.compile(r"\D")
_PARTS = regex.compile(r"\p{Lu}+(?!\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\d+|[\p{Lo}\p{Lm}\p{M}]+")
#: Accents of Latin and Greek letters and of the Russian ё, vowel signs of Arabic and Hebrew, and the Arabic tatweel.
_ACCENTS = regex.compile(r"(?<=[\p{Latin}\p{Greek}\p{Arabic}\p{Hebrew}]\p{M}*)\p{M}|(?<=[Ее])\u0308|\u0640")
_ARABIC_TWINS = str.maketrans("\u06cc\u06a9", "\u064a\u0643")
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
    if text.isascii():
        for token in _ASCII_TOKEN.findall(text):
            yield from _features(token)
        return
    for found in _TOKEN.finditer(_folded(text)):
        if token := found["unspaced"]:
            yield from (token[at : at + 2] for at in range(max(1, len(token) - 1)))
        else:
            yield from _features(found[0])


def query_words(question: str) -> list[str]:
    """The features of a question without stopwords, each once; all of its features if nothing else is left."""
    features = dict.fromkeys(words_of(question))
    return [word for word in features if word not in _STOP_FEATURES] or list(features)


@lru_cache(maxsize=2**16)
def _features(token: str) -> tuple[str, ...]:
    """A word's stem; of an identifier also the stems of its parts. A number without separators."""
    if token[0].isdigit():
        return _numbers(token)
    parts = _PARTS.findall(token)
    whole = _stem("".join(parts).casefold() or token.casefold())
    return (whole,) if len(parts) < 2 else (whole, *(_stem(part.casefold()) for part in parts))


def _numbers(token: str) -> tuple[str, ...]:
    literal = _SEPARATOR.sub(".", token)
    thousands = _THOUSANDS.fullmatch(token)
    if not thousands:
        return (literal,)
    whole = _NOT_DIGITS.sub("", token)
    is_ambiguous = token.count(thousands[1]) == 1 and thousands[1] in ".,"  # 1.234 may be a decimal number
    return (whole, literal) if is_ambiguous else (whole,)


@lru_cache(maxsize=2**16)
def _stem(word: str) -> str:
    script = unicodedata.name(word[0], "").split(" ")[0]
    return _stemmer(_STEMMERS[script]).stemWord(word) if script in _STEMMERS else word


@lru_cache(maxsize=16)
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)


def _folded(text: str) -> str:
    """Text in compatibility form without accents; case is kept, since identifiers are split by it."""
    joined = _THOUSANDS_SPACE.sub("'", text)  # before these spaces become ordinary ones
    decomposed = unicodedata.normalize("NFKD", joined).translate(_ARABIC_TWINS)
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))


_STOP_FEATURES = frozenset(words_of(_STOPWORDS))

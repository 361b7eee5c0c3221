"""Whether the extracted text of a page can be what stands there."""

import re

__all__ = ["flaw_of", "is_better"]

# Words of scripts that put spaces between words: Latin, Greek, Cyrillic, Armenian, Georgian.
_SPACED_WORD = re.compile(r"[A-Za-zÀ-ɏͰ-ԯ԰-֏Ⴀ-ჿḀ-ỿ.,;:()'’“”]+")
_LETTER = re.compile(r"[^\W\d_]")
_GARBAGE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd\ud800-\udfff]|\(cid:\d+\)")
_LONG_WORD = 28
_MAX_LONG_SHARE = 0.1  # of letters in words longer than any
_MAX_GARBAGE_SHARE = 0.1
_MIN_VOWEL_SHARE = 0.18  # of Latin letters; English has 0.38, hexadecimal digits 0.33, random letters 0.23
_JUDGED_LETTERS = 200


def flaw_of(text: str) -> str:
    """Return what is wrong with the text of a page, as the end of a sentence about it; empty if nothing is."""
    stripped = text.strip()
    if not stripped:
        return "has no text, perhaps a picture of text"
    if _garbage_share(stripped) > _MAX_GARBAGE_SHARE:
        return "has characters whose meaning the file does not tell"
    if _long_share(stripped) > _MAX_LONG_SHARE:
        return "has words without spaces between them"
    if _vowel_share(stripped) < _MIN_VOWEL_SHARE:
        return "has letters that form no words"
    return ""


def is_better(text: str, other: str) -> bool:
    """Whether a text of a page is better than another, by what is wrong with each."""
    if not text.strip():
        return False
    return not other.strip() or (not flaw_of(text) and len(text) > len(other) / 2)


def _garbage_share(text: str) -> float:
    return sum(len(found) for found in _GARBAGE.findall(text)) / len(text)


def _long_share(text: str) -> float:
    words = [word for word in _SPACED_WORD.findall(text) if _LETTER.match(word)]
    letters = sum(map(len, words))
    return sum(len(word) for word in words if len(word) > _LONG_WORD) / letters if letters >= _JUDGED_LETTERS else 0.0


def _vowel_share(text: str) -> float:
    latin = [letter for letter in text.lower() if "a" <= letter <= "z"]
    if len(latin) < _JUDGED_LETTERS or len(latin) < 0.8 * len(_LETTER.findall(text)):
        return 1.0
    return sum(letter in "aeiouy" for letter in latin) / len(latin)

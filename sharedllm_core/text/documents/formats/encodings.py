"""Decoding of text files: by a byte order mark, as UTF-8, or in an encoding that is guessed from the bytes."""

import codecs
import re
import unicodedata
from dataclasses import dataclass

from ....errors import DocumentError
from .encoding_guess import guess_encoding, is_usual_ideograph

__all__ = ["Decoded", "decode_text"]

_MARKS = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_ALPHABETIC = re.compile("[\u0370-\u06ff\u3041-\u30ff\uac00-\ud7a3]")  # Greek to Arabic, kana, Hangul
_KANA = re.compile("[\u3041-\u30ff]")
_IDEOGRAPH = re.compile("[\u4e00-\u9fff]")
_WIDE_PUNCTUATION = re.compile("[\u3000-\u303f\uff01-\uff65]")
_SAMPLED_BYTES = 65536
_LEAST_WIDE_CHARACTERS = 8  # of a text in UTF-16 or UTF-32 without a mark, unless it is Latin
_LEAST_UNMIXED_CHARACTERS = 18  # of such a text without any space or Latin letter
_LEAST_USUAL_SHARE = 0.8  # of the ideographs of Chinese text; of random ones 0.3
_MAX_NUL_SHARE = 0.15  # of a text in UTF-8
_MAX_CONTROL_SHARE = 0.02  # of any other text; compressed data have 0.11
_MAX_DAMAGE = 0.2  # invalid bytes for each valid character beyond ASCII, in what still counts as UTF-8
_NAMES = {"cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "mac_roman": "Mac Roman"}


@dataclass(frozen=True)
class Decoded:
    """A decoded text file.

    Attributes:
        text: without byte order mark; U+FFFD stands for each byte that could not be decoded, and for NULs.
        encoding: Python's name of the encoding.
        warnings: what was guessed or damaged, each a sentence.
    """

    text: str
    encoding: str
    warnings: tuple[str, ...] = ()


def decode_text(content: bytes) -> Decoded:
    """Decode text of unknown encoding. A damaged byte costs one character.

    Raises:
        DocumentError: the bytes are not text.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _decoded(content[len(mark) :], encoding)
    sample = content[:_SAMPLED_BYTES]
    is_utf8 = _is_utf8(content)
    controls = sample.count(b"\0") if is_utf8 else len(_CONTROL.findall(sample))
    is_binary = controls > (_MAX_NUL_SHARE if is_utf8 else _MAX_CONTROL_SHARE) * len(sample)
    if (is_binary or b"\0" in sample) and (wide := _wide_encoding(sample)):
        return _decoded(content, wide, guessed=True)
    if is_binary:
        raise DocumentError("it is a binary file")
    if is_utf8:
        return _decoded(content, "utf-8")
    return _decoded(content, guess_encoding(content), guessed=True)


def _is_utf8(content: bytes) -> bool:
    """Whether the bytes are UTF-8, perhaps with some damage."""
    try:
        content.decode("utf-8")
        return True
    except UnicodeDecodeError:
        text = content.decode("utf-8", "replace")
    damaged = text.count("\N{REPLACEMENT CHARACTER}")
    valid = sum(character > "\x7f" for character in text) - damaged
    return valid > 0 and damaged <= max(1, _MAX_DAMAGE * valid)


def _wide_encoding(sample: bytes) -> str | None:
    """Return the encoding of two or four bytes a character in which the bytes are a text without a mark."""
    for encoding in _WIDE:
        size = 4 if encoding.startswith("utf-32") else 2
        try:
            text = sample[: len(sample) // size * size].decode(encoding)
        except UnicodeDecodeError:
            continue
        usual = sum(character in "\t\n\r" or unicodedata.category(character)[0] in "LMNPSZ" for character in text)
        latin = sum(character < "\u0250" for character in text)
        in_scripts = len(_ALPHABETIC.findall(text))
        ideographs = _IDEOGRAPH.findall(text)
        is_japanese = len(_KANA.findall(text)) > 0.1 * len(text)
        if is_japanese or sum(map(is_usual_ideograph, ideographs)) >= _LEAST_USUAL_SHARE * len(ideographs):
            in_scripts += len(ideographs) + len(_WIDE_PUNCTUATION.findall(text))
        is_latin = latin == usual == len(text) and 2 * sum(map(str.isascii, text)) > len(text)
        is_long = len(text) >= _LEAST_WIDE_CHARACTERS or is_latin
        is_script = latin > 0.3 * len(text) or in_scripts > 0.5 * len(text)
        is_mixed = latin > 0 or len(text) >= _LEAST_UNMIXED_CHARACTERS
        if text and is_long and is_script and is_mixed and usual >= 0.99 * len(text):
            return encoding
    return None


def _decoded(content: bytes, encoding: str, guessed: bool = False) -> Decoded:
    text = content.decode(encoding, "replace")
    name = _NAMES.get(encoding, encoding.upper().replace("_", "-"))
    warnings = [f"its encoding is not declared and was guessed: {name}"] if guessed else []
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        damaged = text.count("\N{REPLACEMENT CHARACTER}")
        line = content[: error.start].decode(encoding, "replace").count("\n") + 1
        characters = "1 character is" if damaged == 1 else f"{damaged} characters are"
        warnings.append(f"{characters} not valid {name} and replaced by U+FFFD, the first in line {line}")
    if nuls := text.count("\0"):
        line = text[: text.index("\0")].count("\n") + 1
        characters = "1 null character is" if nuls == 1 else f"{nuls} null characters are"
        warnings.append(f"{characters} replaced by U+FFFD, the first in line {line}")
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return Decoded(text, encoding, tuple(warnings))

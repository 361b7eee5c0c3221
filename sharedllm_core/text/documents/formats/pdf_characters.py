"""The characters of a page of a PDF file with their boxes, and accents joined with their letters.

In TeX's older fonts, for example, `è` is a grave accent and an `e` in the same place: two characters of the file.
"""

import ctypes
from collections.abc import Iterator
from typing import Any
from unicodedata import normalize

__all__ = ["Character", "join_accents", "read_characters"]

_LINE_HYPHENS = {0x2, 0xFFFE}  # PDFium's codes for a hyphen at the end of a line, by its version
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "ſt", 0xFB06: "st"}
_ACCENTS = dict(
    zip(
        "`´ˆ^¨˜~¯˘˙¸ˇ˚˝˛\u0300\u0301\u0302\u0308\u0303\u0304\u0306\u0307\u0327\u030c\u030a\u030b\u0328",
        "\u0300\u0301\u0302\u0302\u0308\u0303\u0303\u0304\u0306\u0307\u0327\u030c\u030a\u030b\u0328"
        "\u0300\u0301\u0302\u0308\u0303\u0304\u0306\u0307\u0327\u030c\u030a\u030b\u0328",
        strict=True,
    )
)
_DOTLESS = {"ı": "i", "ȷ": "j"}
_MAX_DISTANCE = 200  # characters of the file between an accent and its letter


class Character:
    """A character, or several that share a box.

    Attributes:
        text: empty once an accent is joined with its letter.
        left, right, bottom, top: of its box in points; all 0 if it has none.
        is_generated: whether PDFium put it in, as it does with spaces and ends of lines.
    """

    __slots__ = ("bottom", "is_generated", "left", "right", "text", "top")

    def __init__(self, text: str, box: Any = None, is_generated: bool = False) -> None:
        self.text = text
        self.is_generated = is_generated
        self.left = self.right = self.bottom = self.top = 0.0
        if box is not None:
            self.left, self.right, self.bottom, self.top = box.left, box.right, box.bottom, box.top

    @property
    def height(self) -> float:
        """Of the box, in points."""
        return self.top - self.bottom

    def is_on_line_of(self, other: "Character") -> bool:
        """Whether the boxes share more than half of the lower one's height."""
        shared = min(self.top, other.top) - max(self.bottom, other.bottom)
        return shared > min(self.height, other.height) / 2


def read_characters(textpage: Any, count: int) -> list[Character]:
    """Read the characters of a page in the order of the file.

    Args:
        textpage: PDFium's handle.
        count: of its characters.
    """
    from pypdfium2 import raw

    box = raw.FS_RECTF()
    pointer = ctypes.byref(box)
    characters: list[Character] = []
    get_code, get_box = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox
    for index in range(count):
        code = get_code(textpage, index)
        if code in {0, 0xD}:
            continue
        if 0xDC00 <= code < 0xE000 and characters and "\ud800" <= characters[-1].text[-1:] < "\udc00":
            high = ord(characters[-1].text)
            characters[-1].text = chr(0x10000 + ((high & 0x3FF) << 10 | code & 0x3FF))
        elif code in _LINE_HYPHENS:
            characters.append(Character("-\n"))
        elif code <= 0x20 or code == 0xA0:
            is_generated = code == 0x20 and raw.FPDFText_IsGenerated(textpage, index) == 1
            characters.append(Character("\n" if code == 0xA else " ", is_generated=is_generated))
        else:
            has_box = get_box(textpage, index, pointer)
            characters.append(Character(_LIGATURES.get(code) or chr(code), box if has_box else None))
    return characters


def join_accents(characters: list[Character]) -> None:
    """Join each accent with the letter over which it stands."""
    for index, accent in enumerate(characters):
        mark = _ACCENTS.get(accent.text)
        if mark is None or accent.height <= 0:
            continue
        near = _nearest_first(index, len(characters))
        letter = next((characters[at] for at in near if _is_over(accent, characters[at])), None)
        if letter is not None:
            letter.text = normalize("NFC", _DOTLESS.get(letter.text, letter.text) + mark)
            accent.text = ""


def _nearest_first(index: int, length: int) -> Iterator[int]:
    for distance in range(1, _MAX_DISTANCE):
        if index + distance < length:
            yield index + distance
        if index >= distance:
            yield index - distance


def _is_over(accent: Character, letter: Character) -> bool:
    """Whether the middle of an accent is within the box of a letter."""
    middle = (accent.left + accent.right) / 2
    return letter.left < middle < letter.right and letter.text.isalpha() and accent.is_on_line_of(letter)

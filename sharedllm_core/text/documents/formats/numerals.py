"""Numbers of lists and clauses as they are printed, and superscripts as plain text."""

import re
from collections.abc import Callable

__all__ = ["letters", "numeral", "ordinal", "roman", "superscript"]

_ROMAN = (
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
)
_LARGEST_ROMAN = 3999
_NUM_LETTERS = 26
_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_IRREGULAR = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_PLAIN = re.compile(r"[A-Za-z]{2,4}|[^\w]*[®™©ªº°][^\w]*|[\[(*†‡].*")
_ALREADY_RAISED = re.compile(r"[¹²³⁰-⁹]+")


def roman(number: int) -> str:
    """A Roman numeral; numbers that have none are written in digits."""
    if not 0 < number <= _LARGEST_ROMAN:
        return str(number)
    text = ""
    for value, sign in _ROMAN:
        count, number = divmod(number, value)
        text += sign * count
    return text


def letters(number: int, *, repeated: bool = False) -> str:
    """A letter as a number: A to Z, then AA, AB, … or, `repeated` as in Word, AA, BB, …."""
    if number < 1:
        return str(number)
    if repeated:
        times, letter = divmod(number - 1, _NUM_LETTERS)
        return chr(ord("A") + letter) * min(times + 1, _NUM_LETTERS)
    text = ""
    while number:
        number, letter = divmod(number - 1, _NUM_LETTERS)
        text = chr(ord("A") + letter) + text
    return text


def ordinal(number: int) -> str:
    """An English ordinal in digits, such as 3rd."""
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _cardinal_word(number: int) -> str:
    if number < len(_UNITS):
        return _UNITS[number]
    tens, unit = divmod(number, 10)
    return str(number) if number > 99 else _TENS[tens] + (f"-{_UNITS[unit]}" if unit else "")


def _ordinal_word(number: int) -> str:
    if number > 99:
        return ordinal(number)
    first, dash, last = _cardinal_word(number).rpartition("-")
    if last not in _IRREGULAR:
        last = last[:-1] + "ieth" if last.endswith("y") else ("twelfth" if last == "twelve" else f"{last}th")
    return first + dash + _IRREGULAR.get(last, last)


_STYLES: dict[str, Callable[[int], str]] = {
    "upper-roman": roman,
    "lower-roman": lambda number: roman(number).lower(),
    "upper-letter": letters,
    "lower-letter": lambda number: letters(number).lower(),
    "upper-letter-repeated": lambda number: letters(number, repeated=True),
    "lower-letter-repeated": lambda number: letters(number, repeated=True).lower(),
    "two-digits": lambda number: f"{number:02}",
    "ordinal": ordinal,
    "cardinal-word": lambda number: _cardinal_word(number).capitalize(),
    "ordinal-word": lambda number: _ordinal_word(number).capitalize(),
}


def numeral(number: int, style: str) -> str:
    """Write a number in a style: `"upper-roman"`, `"lower-letter"`, `"ordinal-word"`, …; in digits for any other."""
    return _STYLES.get(style, str)(number)


def superscript(text: str, *, after: str) -> str:
    """Write a superscript so that it stays apart from what it stands at: `10^6`, `m^2`; but `19th`.

    Args:
        text: of the superscript.
        after: what stands before it on the same line.
    """
    raised = text.strip()
    if not raised or not after or after[-1].isspace() or _PLAIN.fullmatch(raised) or _ALREADY_RAISED.fullmatch(raised):
        return f"{text} " if raised[-1:].isdigit() and (not after or after[-1].isspace()) else text
    return f"^{raised}" if " " not in raised else f"^({raised})"

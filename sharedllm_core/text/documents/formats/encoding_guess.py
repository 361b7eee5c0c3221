"""Guess the encoding of a text that is not Unicode: the one in which its letters fit the alphabet of one language.

Where several fit equally, the more usual one is taken, Windows-1252 first.
"""

import re
from collections.abc import Callable, Sequence

__all__ = ["guess_encoding", "is_usual_ideograph"]

_SAMPLED_BYTES = 50_000
_MIN_VOWEL_SHARE = 0.28  # of Cyrillic and Greek letters; Russian has 0.42, Hebrew read as Cyrillic 0.2
_MIN_KANA_SHARE = 0.1  # of Japanese text
_EQUAL = 0.02  # scores that differ less are equal

_WESTERN = (
    "äöüß", "àâæçéèêëîïôœùûüÿ", "áéíóúüñ", "áâãàçéêíóôõú", "àèéìíîòóù", "éëïóöüèêá", "åäöéü", "æøåéó",
    "áðéíóúýþæö", "àçéèíïóòúü", "áéíóúâêîôûŵŷ", "éèçàöüä",
)  # fmt: skip
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čćđšž", "ăâîșşțţ", "äöüß")
_CYRILLIC = ("абвгдежзийклмнопрстуфхцчшщъыьэюяё", "абвгдежзийклмнопрстуфхцчшщьюяєіїґ", "абвгдежзиклмнопрстуфхцчшђјљњћџ")
_GREEK = ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ",)
_HEBREW = ("אבגדהוזחטיךכלםמןנסעףפץצקרשת",)
_ARABIC = ("".join(map(chr, range(0x621, 0x653))) + "پچژگکی",)

#: Encodings of single bytes with the alphabets of their languages, the usual ones first.
_SINGLE: tuple[tuple[str, Sequence[str]], ...] = (
    ("cp1252", _WESTERN),
    ("cp1251", _CYRILLIC),
    ("cp1250", _CENTRAL),
    ("iso8859_2", _CENTRAL),
    ("cp1255", _HEBREW),
    ("koi8_r", _CYRILLIC),
    ("koi8_u", _CYRILLIC),
    ("mac_roman", _WESTERN),
    ("cp1254", ("çğıöşüâîû",)),
    ("cp1257", ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž")),
    ("cp1256", _ARABIC),
    ("iso8859_15", _WESTERN),
    ("cp850", _WESTERN),
    ("cp852", _CENTRAL),
    ("cp866", _CYRILLIC),
    ("iso8859_5", _CYRILLIC),
    ("mac_cyrillic", _CYRILLIC),
    ("mac_latin2", _CENTRAL),
    ("cp1253", _GREEK),
    ("iso8859_7", _GREEK),
)
_SYMBOLS = set("‘’‚‛“”„«»‹›–—…€£¥§°©®™·•†‡¿¡ªº²³¹½¼¾±×÷µ¶¢\xa0№−\xad")
_APOSTROPHES = "’·–—\xad\xa0"  # symbols that stand between letters
_BEHIND_WORDS = "ªº²³¹½¼¾µ’”»›¶¢"  # symbols that stand before no letter
_VOWELS = "аеиоуыэюяіїєαεηιουωάέήίόύώ"
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_LETTERS = re.compile(r"[^\W\d_]+")
_FINAL_FORM = re.compile("[ךםןףץ]([א-ת]?)")  # of a letter; stands at the end of Hebrew words alone
_FINAL_FORM_BONUS = 0.1  # on the score of a text whose final forms stand there


def guess_encoding(content: bytes) -> str:
    """Return Python's name of the encoding that fits best."""
    first = next((at for at, byte in enumerate(content) if byte > 0x7F), 0)
    sample = content[max(0, first - 100) : first + _SAMPLED_BYTES]
    scores = [(name, _wide_score(sample, name, usual)) for name, usual in _DOUBLE]
    scores += [(name, _single_score(sample, name, alphabets)) for name, alphabets in _SINGLE]
    best = max(score for _, score in scores)
    usual = next(name for name, score in scores if score >= best - _EQUAL)
    related = [(score, name) for name, score in scores if _is_related(name, usual)]
    if usual == "cp1252" and _is_turkish(sample) and dict(scores)["cp1254"] >= best - _EQUAL:
        return "cp1254"
    return max(related, key=lambda one: one[0])[1]


def _is_related(name: str, other: str) -> bool:
    """Whether two encodings have the same alphabets, so that they differ in a few letters or symbols."""
    alphabets = dict(_SINGLE)
    return name == other or (name in alphabets and alphabets[name] is alphabets.get(other))


def _is_turkish(sample: bytes) -> bool:
    """Whether a text that could be Turkish or Icelandic has letters at which their encodings differ."""
    return any(letter in "ğışĞİŞ" for letter in sample.decode("cp1254", "replace"))


def is_usual_ideograph(character: str) -> bool:
    """Whether a character is among those that simplified or traditional Chinese text mostly consists of."""
    return _is_usual_chinese(character) or _is_usual_traditional(character)


def _single_score(sample: bytes, encoding: str, alphabets: Sequence[str]) -> float:
    """Score an encoding by the share of characters beyond ASCII that its best alphabet explains."""
    text = sample.decode(encoding, "replace")
    characters = _BEYOND_ASCII.findall(text)
    if not characters:
        return 0.0
    good = _good_symbols(text)
    counts: dict[str, int] = {}
    bad = 0
    is_latin = alphabets in (_WESTERN, _CENTRAL) or alphabets[0][0] in "çą"
    for word in _LETTERS.findall(text):
        own = _BEYOND_ASCII.findall(word)
        if not own:
            continue
        inside = word[1:]
        mixed_case = inside != inside.lower() and word != word.upper()
        wrong_script = len(own) != len(word) if not is_latin else len(own) > 3 and len(own) == len(word)
        if mixed_case or wrong_script:
            bad += len(own)
            continue
        for letter in own:
            counts[letter.lower()] = counts.get(letter.lower(), 0) + 1
    known = max(sum(number for letter, number in counts.items() if letter in alphabet) for alphabet in alphabets)
    if alphabets in (_CYRILLIC, _GREEK):
        vowels = sum(number for letter, number in counts.items() if letter in _VOWELS)
        known = known if vowels >= _MIN_VOWEL_SHARE * known else known // 2
    bonus = 0.0
    if alphabets is _HEBREW and (following := _FINAL_FORM.findall(text)):
        bonus = -0.5 if any(following) else _FINAL_FORM_BONUS
    return (good + known - bad * 0.5) / len(characters) + bonus


def _good_symbols(text: str) -> int:
    """Count the symbols beyond ASCII that do not stand between letters; apostrophes may."""
    good = 0
    for found in _BEYOND_ASCII.finditer(text):
        symbol, at = found[0], found.start()
        if symbol not in _SYMBOLS:
            continue
        before, after = text[at - 1 : at].isalpha(), text[at + 1 : at + 2].isalpha()
        good += not after or symbol in _APOSTROPHES or (not before and symbol not in _BEHIND_WORDS)
    return good


def _wide_score(sample: bytes, encoding: str, usual: Callable[[str], bool]) -> float:
    """Score an encoding of one or two bytes a character by the share of usual characters beyond ASCII."""
    text = sample[: len(sample) - 1].decode(encoding, "replace") if len(sample) > _SAMPLED_BYTES else ""
    text = text or sample.decode(encoding, "replace")
    characters = _BEYOND_ASCII.findall(text)
    if len(characters) < 2:
        return 0.0
    fullwidth = sum(
        "\u3000" <= one <= "\u303f" or "\uff01" <= one <= "\uff60" or one in "·—…“”‘’" for one in characters
    )
    known = sum(map(usual, characters))
    if usual is _is_usual_japanese and sum("\u3041" <= one <= "\u30ff" for one in characters) < _MIN_KANA_SHARE * known:
        return 0.0
    return (known + fullwidth) / len(characters) if known else 0.0


def _is_usual_japanese(character: str) -> bool:
    return "\u3041" <= character <= "\u30ff" or _lead(character, "euc_jp", 0xB0, 0xCF)


def _is_usual_korean(character: str) -> bool:
    return _lead(character, "euc_kr", 0xB0, 0xC8)


def _is_usual_chinese(character: str) -> bool:
    return _lead(character, "gb2312", 0xB0, 0xD7)


def _is_usual_traditional(character: str) -> bool:
    return _lead(character, "big5", 0xA4, 0xC6)


def _lead(character: str, encoding: str, first: int, last: int) -> bool:
    """Whether a character is in the part of a character set that holds the frequent ones."""
    try:
        encoded = character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return len(encoded) == 2 and first <= encoded[0] <= last


_DOUBLE: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("cp932", _is_usual_japanese),
    ("euc_jp", _is_usual_japanese),
    ("cp949", _is_usual_korean),
    ("gb18030", _is_usual_chinese),
    ("big5", _is_usual_traditional),
)

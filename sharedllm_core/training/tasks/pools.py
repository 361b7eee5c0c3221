"""Pools of names and values: what facts are about and what they say.

Two kinds of fact are linked when the values of one are the keys of the other: they then share the same pool.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from . import vocabulary as words

__all__ = ["Pool", "digits", "letters", "number"]

#: Words to choose from, or a function that makes one.
Part = Sequence[str] | Callable[[Random], str]


@dataclass(frozen=True, eq=False)
class Pool:
    """Strings of one sort, each composed of parts that are drawn one by one.

    Attributes:
        pattern: how the parts are put together, a format string.
        parts: by the names in the pattern.
    """

    pattern: str
    parts: Mapping[str, Part]

    def draw(self, rng: Random) -> str:
        """One string of the pool."""
        return self.pattern.format(**{name: _one(part, rng) for name, part in self.parts.items()})

    def family(self, rng: Random, count: int) -> list[str]:
        """Distinct strings that are easily confused: each differs from the first in a single part."""
        first = {name: _one(part, rng) for name, part in self.parts.items()}
        found = [self.pattern.format(**first)]
        while len(found) < count:
            name = rng.choice(list(self.parts))
            other = self.pattern.format(**{**first, name: _one(self.parts[name], rng)})
            if other not in found:
                found.append(other)
        return found


def _one(part: Part, rng: Random) -> str:
    return part(rng) if callable(part) else rng.choice(part)


def number(low: int, high: int, form: str = "d") -> Callable[[Random], str]:
    """A part: a whole number from `low` to `high`, written in `form`."""
    return lambda rng: format(rng.randint(low, high), form)


def digits(count: int) -> Callable[[Random], str]:
    """A part: that many digits, the first of them not 0."""
    return number(10 ** (count - 1), 10**count - 1)


def letters(count: int, alphabet: str = "ABCDEFGHJKLMNPQRSTUVWXYZ") -> Callable[[Random], str]:
    """A part: that many letters of an alphabet, by default capitals that cannot be taken for digits."""
    return lambda rng: "".join(rng.choice(alphabet) for _ in range(count))


def _capital(vocabulary: Sequence[str]) -> list[str]:
    return [word.capitalize() for word in vocabulary]


def _surname(rng: Random) -> str:
    head, tail = rng.choice(words.SURNAME_HEADS), rng.choice(words.SURNAME_TAILS)
    return head.removesuffix(tail[0]) + tail  # Sorrath, not Sorrrath


def _town(rng: Random) -> str:
    return TOWN.draw(rng)


_HEX = "0123456789abcdef"
_QUALITY, _ANIMAL, _OBJECT = _capital(words.QUALITIES), _capital(words.ANIMALS), _capital(words.OBJECTS)
_UPPER_QUALITY, _UPPER_OBJECT = [q.upper() for q in words.QUALITIES], [o.upper() for o in words.OBJECTS]

# Names: what facts are about.
PERSON = Pool("{first} {last}", {"first": words.FIRST_NAMES, "last": _surname})
TOWN = Pool("{a}{b}{c}", {"a": words.TOWN_HEADS, "b": words.TOWN_MIDDLES, "c": words.TOWN_TAILS})
BUILDING = Pool("{town} {building}", {"town": _town, "building": words.BUILDINGS})
INSTITUTION = Pool("{town} {institution}", {"town": _town, "institution": words.INSTITUTIONS})
BRIDGE = Pool(
    "{town} {bridge}",
    {"town": _town, "bridge": ["aqueduct", "footbridge", "railway bridge", "swing bridge", "toll bridge", "viaduct"]},
)
SHIP = Pool("{quality} {animal}", {"quality": _QUALITY, "animal": _ANIMAL})
PROJECT = Pool("Project {quality} {thing}", {"quality": _QUALITY, "thing": _OBJECT})
COMPANY = Pool("{last} {trade}", {"last": _surname, "trade": words.TRADES})
SOCIETY = Pool("{town} Society for {craft}", {"town": _town, "craft": words.CRAFTS})
PRIZE = Pool("{last} Prize for {craft}", {"last": _surname, "craft": words.CRAFTS})
AGREEMENT = Pool(
    "{company} {sort} agreement",
    {
        "company": COMPANY.draw,
        "sort": ["consulting", "distribution", "franchise", "lease", "licence", "loan", "maintenance", "supply"],
    },
)
BRAND = Pool("{a}{b}", {"a": words.BRAND_HEADS, "b": words.BRAND_TAILS})
PRODUCT = Pool("{head}{tail} {device}", {"head": words.BRAND_HEADS, "tail": words.BRAND_TAILS, "device": words.DEVICES})
PART = Pool("{letters}-{number}", {"letters": letters(2), "number": digits(4)})
SAMPLE = Pool("{letter}{number}/{suffix}", {"letter": letters(1), "number": digits(3), "suffix": letters(2)})
BOOK = Pool("The {thing} of {town}", {"thing": _OBJECT, "town": _town})
TALK = Pool(
    '"{quality} {things} and {quality2} {animals}"',
    {
        "quality": _QUALITY,
        "things": [f"{word}s" for word in _OBJECT if word[-1] not in "shy"],
        "quality2": _QUALITY,
        "animals": [f"{word}s" for word in _ANIMAL if word[-1] not in "shyex"],
    },
)
RECIPE = Pool("{town} {dish}", {"town": _town, "dish": words.DISHES})
PEAK = Pool(
    "Mount {head}{middle}{tail}",
    {
        "head": words.TOWN_HEADS,
        "middle": words.TOWN_MIDDLES,
        "tail": [*words.PEAK_TAILS, *words.TOWN_TAILS],
    },
)
ARTEFACT = Pool(
    "{quality} {material} {thing}", {"quality": words.QUALITIES, "material": words.MATERIALS, "thing": words.OBJECTS}
)
ALLOY = Pool("{head}{tail}-{number}", {"head": words.BRAND_HEADS, "tail": words.BRAND_TAILS, "number": digits(2)})
STATION = Pool("station {letters}{number}", {"letters": letters(2), "number": digits(3)})
FLIGHT = Pool("{letters} {number}", {"letters": letters(2), "number": digits(4)})
TEAM = Pool("{town} {animals}", {"town": _town, "animals": TALK.parts["animals"]})
SERVICE = Pool("{animal}-{role}-{number}", {"animal": words.ANIMALS, "role": words.ROLES, "number": digits(2)})
FUNCTION = Pool("{verb}_{quality}_{thing}", {"verb": words.VERBS, "quality": words.QUALITIES, "thing": words.OBJECTS})
CONSTANT = Pool(
    "{quality}_{thing}_{limit}",
    {
        "quality": _UPPER_QUALITY,
        "thing": _UPPER_OBJECT,
        "limit": ["BUDGET", "LIMIT", "OFFSET", "QUOTA", "SIZE", "STEP"],
    },
)
EXCEPTION = Pool("{quality}{animal}{thing}Error", {"quality": _QUALITY, "animal": _ANIMAL, "thing": _OBJECT})
FILE = Pool(
    "{quality}_{thing}_{number}.{end}",
    {
        "quality": words.QUALITIES,
        "thing": words.OBJECTS,
        "number": digits(2),
        "end": ["bin", "csv", "dat", "img", "zip"],
    },
)
TABLE_NAME = Pool(
    "{quality}_{animal}s", {"quality": words.QUALITIES, "animal": [a for a in words.ANIMALS if a[-1] not in "shyex"]}
)

# Values: what facts say of them.
SIX_DIGITS = Pool("{number}", {"number": digits(6)})
EXTENSION = Pool("{number}", {"number": digits(5)})
COMBINATION = Pool("{a}-{b}-{c}", dict.fromkeys("abc", number(0, 59, "02d")))
TRACKING = Pool("{a}{b}-{c}", {"a": letters(2), "b": digits(6), "c": letters(1)})
CALL_SIGN = Pool("{a}{b}{c}", {"a": letters(2), "b": digits(1), "c": letters(3)})
CHECKSUM = Pool("{hex}", {"hex": letters(12, _HEX)})
NICKNAME = Pool("the {quality} {animal}", {"quality": _QUALITY, "animal": _ANIMAL})
DATE = Pool("{day} {month} {year}", {"day": number(1, 28), "month": words.MONTHS, "year": number(1905, 2079)})
WEEK_TIME = Pool(
    "{weekday} at {hour}:{minute}",
    {"weekday": words.WEEKDAYS, "hour": number(0, 23, "02d"), "minute": number(0, 59, "02d")},
)
DOLLARS = Pool("${whole}.{cents}", {"whole": number(110, 9899, ",d"), "cents": number(0, 99, "02d")})
EUROS = Pool("{amount} euros", {"amount": number(10_100, 989_999, ",d")})
MILLIONS = Pool("{whole}.{rest} million dollars", {"whole": number(2, 98), "rest": number(11, 99)})
DAYS = Pool("{days} days and {hours} hours", {"days": number(13, 380), "hours": number(2, 23)})
CLAUSE = Pool("{a}.{b}.{c}", dict.fromkeys("abc", number(2, 39)))
MILLISECONDS = Pool("{number}", {"number": number(1_001, 59_999)})
PORT = Pool("{number}", {"number": number(10_001, 64_999)})
LOG_PATH = Pool(
    "/var/log/{quality}/{thing}-{number}.log",
    {"quality": words.QUALITIES, "thing": words.OBJECTS, "number": digits(2)},
)
UNITS = Pool("{number}", {"number": number(1_001, 98_999, ",d")})
READING = Pool("{whole}.{rest}", {"whole": number(10, 989), "rest": number(101, 999)})
SHELF = Pool("{letter}{row}-{place}", {"letter": letters(1), "row": digits(2), "place": digits(2)})
GRAMS = Pool("{number} grams", {"number": number(1_003, 9_998)})
ITEM = Pool("{quality} {material} {thing}", ARTEFACT.parts)
METRES = Pool("{number} metres", {"number": number(1_011, 7_989, ",d")})
KILOGRAMS = Pool("{whole}.{rest} kilograms", {"whole": number(2, 480), "rest": number(11, 99)})
CELSIUS = Pool("{whole}.{rest} degrees Celsius", {"whole": number(210, 2_900), "rest": number(1, 9)})
OFFSET = Pool("{sign}0.{rest} mm", {"sign": ["+", "-"], "rest": number(1_003, 9_998)})
SCORE = Pool("{own} to {other}", {"own": number(41, 139), "other": number(41, 139)})
CONSTANT_VALUE = Pool("{number}", {"number": number(10_003, 989_999)})
LITERAL = Pool("{quality}-{thing}-{number}", {"quality": words.QUALITIES, "thing": words.OBJECTS, "number": digits(2)})
ERROR_CODE = Pool("E{number}", {"number": digits(5)})
COLUMN = Pool("{thing}_{animal}_id", {"thing": words.OBJECTS, "animal": words.ANIMALS})
SEATS = Pool("{number} seats", {"number": number(1_003, 9_998, ",d")})
COORDINATES = Pool("{a}.{b} N {c}.{d} W", {"a": number(10, 79), "b": digits(3), "c": number(10, 169), "d": digits(3)})

"""Words, numbers and plain lines that RULER's families are made of; all distinct where they must be."""

from random import Random
from uuid import UUID

__all__ = ["NOISE", "coded_words", "compounds", "numbers", "uuids", "variables"]


def _split(words: str) -> list[str]:
    return words.split()


#: Lines that say nothing, of which the repeated haystack consists.
NOISE = (
    "The path goes on past the mill.",
    "Clouds drift over the hills.",
    "Somewhere a door is closed.",
    "The river runs as it always did.",
    "Nothing much happens here.",
)

_FIRST = _split("""
amber autumn barley birch bramble bright bronze canvas cedar chalk clover cobalt copper coral cotton crystal dawn
desert distant dusty early eastern ember fallow feather fern flint forest frosted gentle ginger golden granite harbour
hazel hidden hollow humble indigo iron ivory jasper juniper lantern lavender lemon linen little lonely lunar maple
marble meadow mellow midnight misty modest morning mossy narrow northern olive orchard paper pebble pepper pewter pine
placid plain polar purple quarry quiet rapid raven ribbon rustic saffron sandy scarlet secret shady silent silver
simple smoky snowy solar southern spruce steady stone summer sunny tender thistle timber tranquil valley velvet violet
walnut western willow winter woollen
""")
_SECOND = _split("""
acorn anchor anvil apron arrow badge barrel basin basket beacon bell bench blanket boat bonnet bottle bridge bucket
button cabin candle canoe carpet castle chapel chest chimney clock cottage cradle crown cupboard drum engine fence
ferry fiddle flag flask flute fountain gate glove goblet hammer hammock harp hatchet helmet hinge hook kettle kite
ladder ladle locket loom magnet mallet mantle mirror mitten needle oar oven paddle pail parcel pillow pitcher plough
pocket pulley quilt rake rope rudder saddle sail satchel saucer scarf shelf shovel shutter sickle sleigh spade spindle
spoon stool stove tablet teapot tent thimble tower trumpet tunnel vase violin wagon wheel whistle window
""")


def compounds(rng: Random, count: int, joined_by: str = "-") -> list[str]:
    """Distinct words of two, and where there are too few of these, of three parts, none of which is part of another."""
    pairs = len(_FIRST) * len(_SECOND)
    if count <= pairs:
        places = rng.sample(range(pairs), count)
        return [_FIRST[at // len(_SECOND)] + joined_by + _SECOND[at % len(_SECOND)] for at in places]
    places = rng.sample(range(pairs * len(_SECOND)), count)
    return [
        joined_by.join(
            (_FIRST[at // len(_SECOND) ** 2], _SECOND[at // len(_SECOND) % len(_SECOND)], _SECOND[at % len(_SECOND)])
        )
        for at in places
    ]


def numbers(rng: Random, count: int, digits: int = 7) -> list[str]:
    """Distinct numbers of so many digits."""
    return [str(number) for number in rng.sample(range(10 ** (digits - 1), 10**digits), count)]


def uuids(rng: Random, count: int) -> list[str]:
    """Distinct UUIDs."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[str(UUID(int=rng.getrandbits(128), version=4))] = None
    return list(found)


def variables(rng: Random, count: int) -> list[str]:
    """Distinct names of five capital letters."""
    return [name.upper() for name in coded_words(rng, count, 5)]


def coded_words(rng: Random, count: int, letters: int = 6) -> list[str]:
    """Distinct words of random letters."""
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=letters))] = None
    return list(found)

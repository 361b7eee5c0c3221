"""Plain sentences without end, for whoever has no texts at hand. They state nothing that a task could ask for."""

from collections.abc import Sequence
from random import Random
from typing import overload

from .seeding import generator

__all__ = ["FillerTexts"]


def _split(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split(",")]


_PEOPLE = _split("""
baker, blacksmith, carter, clerk, cook, driver, farmer, gardener, guard, innkeeper, joiner, miller, musician,
neighbour, painter, porter, postman, potter, saddler, sailor, schoolteacher, shepherd, student, tailor, traveller,
watchman, weaver, widow
""")
_DEEDS = _split("""
carried the basket home, closed the shutters, counted the coins again, dried the plates, fed the hens, filled the jug,
folded the newspaper, hung up the coat, lit the stove, looked at the clouds, mended the fence, opened the window,
peeled the potatoes, picked up the letter, played an old tune, polished the spoons, read the sign on the wall, sat
down on the bench, shook the carpet, stirred the soup, swept the yard, told the story once more, tied the boat to a
post, turned the page, walked along the river, watered the roses, waved to the children, wound up the clock
""")
_TIMES = _split("""
After lunch, All day long, As always, At dusk, At first light, Before the rain, By and by, During the fair, Early that
day, For once, In the evening, In the meantime, Late in the afternoon, Not long ago, Now and then, On the way back,
Once more, Sooner than expected, That night, Toward noon, When the bell rang, While the kettle sang, Without a word,
Year after year
""")
_THINGS = _split("""
air, bread, cart, courtyard, fire, garden, gate, grass, hill, house, kitchen, lane, light, market, meadow, mist, path,
pond, road, roof, room, shop, sky, square, stair, street, table, valley, water, wind, wood, yard
""")
_STATES = _split("""
as still as ever, bright and wide, cold to the touch, dark and narrow, dry and warm, full of noise, full of voices,
hardly to be seen, more crowded than before, nearly empty, none the worse for wear, pleasant enough, quiet again,
rather plain, steep and uneven, too small for all of them, wet from the rain, white with dust
""")
_ENDS = _split("""
and nobody minded, and so the hours went by, as if nothing had happened, because there was time enough, before the
others came, but said little about it, for it could not wait, for the day was long, just as it had been agreed, since
the weather would not hold, so that the rest could sleep, though it was no easy task, until the lamps were lit, while
the others talked, with both hands, without any hurry
""")


class FillerTexts(Sequence[dict[str, str]]):
    """A sequence of titled texts of plain sentences, each made when it is asked for and always the same.

    Args:
        count: how many texts there are.
    """

    def __init__(self, count: int = 100_000) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> dict[str, str]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, str]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, str] | list[dict[str, str]]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(self._count))]
        if not -self._count <= at < self._count:
            raise IndexError(f"text {at} of {self._count}")
        number = at % self._count
        rng = generator("filler", number)
        paragraphs = (" ".join(_sentence(rng) for _ in range(rng.randint(3, 9))) for _ in range(rng.randint(10, 26)))
        return {"title": f"plain text {number}", "text": "\n\n".join(paragraphs)}


def _sentence(rng: Random) -> str:
    shape = rng.randrange(4)
    who, deed = rng.choice(_PEOPLE), rng.choice(_DEEDS)
    if shape == 0:
        return f"The {who} {deed} {rng.choice(_ENDS)}."
    if shape == 1:
        return f"{rng.choice(_TIMES)}, the {who} {deed}."
    if shape == 2:
        return f"The {rng.choice(_THINGS)} was {rng.choice(_STATES)}, and the {who} {deed}."
    return f"{rng.choice(_TIMES)}, the {rng.choice(_THINGS)} was {rng.choice(_STATES)}."

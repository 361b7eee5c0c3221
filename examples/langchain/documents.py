"""Documents for the examples: a handbook of many pages, and a folder of contracts. Other documents work as well."""

from pathlib import Path
from random import Random
from tempfile import mkdtemp

from handbook import Fact, write_handbook

CONTRACT = """Lease agreement {number}

This agreement is made between {owner} (the owner) and {tenant} (the tenant) about the {rooms} at {street} {number}.
The tenant pays {rent} euros in rent on the first day of each month.
The notice period of lease agreement {number} is {days} days, for both sides.
The tenant keeps the rooms in order and shows them when asked. What breaks is repaired by whoever broke it.
Changes to this agreement are made in writing. Where one clause does not hold, the others do.
"""


def handbook(sections: int) -> Path:
    """A folder with a handbook; 54 sections a chapter are some 120,000 tokens."""
    return handbook_and_facts(sections)[0]


def handbook_and_facts(sections: int) -> tuple[Path, list[Fact]]:
    """The same, and all that it says."""
    folder = Path(mkdtemp(prefix="handbook-"))
    return folder, write_handbook(folder, sections, seed=0)


def contracts(count: int) -> Path:
    """A folder with contracts."""
    rng = Random(0)  # noqa: S311
    folder = Path(mkdtemp(prefix="contracts-"))
    people = ("Ida Marlberg", "Henrik Colstrom", "Vera Dunmeyer", "Yusuf Elmridge", "Greta Farnhelm", "Olaf Kersnova")
    for number in range(1, count + 1):
        owner, tenant = rng.sample(people, 2)
        text = CONTRACT.format(
            number=number,
            owner=owner,
            tenant=tenant,
            rooms=rng.choice(("warehouse", "workshop", "shop", "office")),
            street=rng.choice(("Harbour Street", "Mill Lane", "Station Road")),
            rent=rng.randint(4, 90) * 50,
            days=rng.choice((30, 60, 90, 120, 180)),
        )
        (folder / f"lease-{number}.txt").write_text(text, encoding="utf-8")
    return folder

"""A handbook of an invented company, in files of Markdown: as long as you like, and the same for the same seed.

Each section is about one thing (an agreement, a person, a site, a product, a server …) and says some things about it,
among sentences that say nothing in particular. `facts` lists what was said, so that any answer can be checked.
"""

from pathlib import Path
from random import Random
from typing import NamedTuple

from sharedllm_core.training.tasks import KINDS, FactKind

CHAPTERS = {
    "agreements": ("notice_period", "liability_cap", "place_of_jurisdiction"),
    "people": ("extension", "mentor", "birthplace", "workplace"),
    "buildings": ("access_code",),
    "products": ("price", "weight"),
    "servers": ("port", "backup_time"),
    "towns": ("mayor", "population"),
    "projects": ("deadline",),
    "ships": ("captain", "home_port", "call_sign"),
}

_SENTENCES = """
The file was begun by the office in {town} and is kept up to date there.
Questions go to the desk first, and to {person} only where the desk cannot help.
{person} went through the papers in {month} and found them in good order.
Copies are kept in a cupboard on the second floor, and a list of them on the door.
Where two versions differ, the later one holds, unless a note beside it says otherwise.
Changes are made in writing and read aloud at the next meeting.
There was some talk of it at the meeting in {town}, but nothing was decided.
The form has been shortened since, and nobody has asked for the old one.
A visit takes about half a day, and lunch is included.
The photographs were taken by {person} and may be used with her permission.
Whoever works with it for the first time is shown round by a colleague.
The paint was renewed in {month}, in the same colour as before.
A short report is due at the end of each quarter and is seldom late.
It has come up in the newsletter twice, both times with a drawing.
The keys hang where they always hung; please bring them back the same day.
No complaint has been received about it so far.
The summary was translated for the partners in {town}, who were pleased.
An older entry was struck out because it had been made twice.
Everything else is in the general rules at the front of this handbook.
{person} keeps a notebook about it and is glad to be asked.
In {month} it was agreed to leave things as they are for another year.
The archive in {town} has the earlier papers, sorted by date of arrival.
Deliveries come through the side entrance, never through the front.
The lamp above the entrance is left on until the last one has gone home.
Training is held in small groups and ends with tea.
A drawing of it hangs in the corridor, next to the fire plan.
Spare forms are in the drawer below, together with the stamps.
The insurance was told, and has confirmed that it was told.
Guests sign the book, and their names are kept for one season.
It was the subject of a talk that {person} gave in {town}.
""".strip().splitlines()


class Fact(NamedTuple):
    """One thing that the handbook says.

    Attributes:
        document: the file that says it.
        sentence: how it is said there.
        kind: of fact.
        key, value: what about, and what.
    """

    document: str
    sentence: str
    kind: FactKind
    key: str
    value: str

    @property
    def questions(self) -> list[str]:
        """Ways to ask for it."""
        return [question.format(key=self.key) for question in self.kind.questions]


def write_handbook(folder: Path, sections: int, seed: int) -> list[Fact]:
    """Write a handbook of eight files.

    Args:
        folder: for the files; made where it is not there.
        sections: of each file.
        seed: the same seed gives the same handbook.

    Returns:
        Every fact in it.
    """
    rng = Random(seed)  # noqa: S311
    folder.mkdir(parents=True, exist_ok=True)
    facts: list[Fact] = []
    for chapter, names in CHAPTERS.items():
        kinds = [KINDS[name] for name in names]
        parts = [f"# {chapter.capitalize()}\n"]
        keys: set[str] = set()
        while len(keys) < sections:
            key = kinds[0].key.draw(rng)
            if key in keys:
                continue
            keys.add(key)
            said = [_fact(f"{chapter}.md", kind, key, rng) for kind in kinds]
            facts += said
            sentences = [_sentence(rng) for _ in range(rng.randint(9, 16))]
            for fact in said:
                sentences.insert(rng.randint(0, len(sentences)), fact.sentence)
            middle = len(sentences) // 2
            paragraphs = (" ".join(sentences[:middle]), " ".join(sentences[middle:]))
            parts.append(f"## {key[0].upper()}{key[1:]}\n\n{paragraphs[0]}\n\n{paragraphs[1]}\n")
        (folder / f"{chapter}.md").write_text("\n".join(parts), encoding="utf-8")
    return facts


def _fact(document: str, kind: FactKind, key: str, rng: Random) -> Fact:
    plain = [pattern for pattern in kind.facts if "{key2}" not in pattern and "{value2}" not in pattern]
    value = kind.value.draw(rng)
    return Fact(document, rng.choice(plain).format(key=key, value=value), kind, key, value)


def _sentence(rng: Random) -> str:
    person, town = KINDS["extension"].key.draw(rng), KINDS["birthplace"].value.draw(rng)
    month = rng.choice(("January", "March", "May", "June", "August", "October", "November"))
    return rng.choice(_SENTENCES).format(person=person, town=town, month=month)

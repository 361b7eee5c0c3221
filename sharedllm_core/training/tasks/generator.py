"""Tasks without end: documents are composed, facts drafted, checked and placed, questions asked.

Task `i` is a function of the seed, the settings, the texts and `i` alone, so a stream goes on anywhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ...errors import ConfigError, setting
from ...method.checks import check_whole
from .filler import FillerTexts
from .forms import FORMS, Draft, possible
from .haystack import Passage, Text, compose, pools_of_texts, trim
from .ledger import Ledger
from .placement import place
from .seeding import generator
from .settings import TaskSettings
from .task import Split, Task

__all__ = ["generate_tasks"]

_TRIES = 100
_MAX_SHARE_OF_FACTS = 0.8
_SPARE_KINDS = 8


def generate_tasks(
    texts: Iterable[Text] | None = None,
    settings: TaskSettings | None = None,
    seed: int = 0,
    *,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Task]:
    """Tasks over sets of documents that are cut from texts.

    Args:
        texts: strings, or mappings with `title` and `text`: a sequence, which is drawn from at random, or another
            iterable, which is read a few texts at a time. None for plain sentences that need no data.
        settings: which tasks; None for the defaults.
        seed: the same seed, settings and texts give the same tasks, everywhere.
        start: the first task. Getting there takes no time with a sequence, and else one reading of the texts.
        count: how many tasks; None for no end.

    Raises:
        ConfigError: a number is negative, or the facts do not fit the length.
        DocumentError: the texts are not texts, or there are none.
    """
    for name, number in (("start", start), ("count", count)):
        if number is not None:
            check_whole(name, number, at_least=0)
    settings = settings or TaskSettings()
    return islice(_stream(FillerTexts() if texts is None else texts, settings, seed, start), count)


def _stream(texts: Iterable[Text], settings: TaskSettings, seed: int, start: int) -> Iterator[Task]:
    first = start // settings.questions_per_set
    skipped = start % settings.questions_per_set
    for number, pool in enumerate(pools_of_texts(texts, first), start=first):
        yield from _tasks_of_set(pool, settings, seed, number)[skipped:]
        skipped = 0


def _tasks_of_set(pool: Sequence[Text], settings: TaskSettings, seed: int, number: int) -> list[Task]:
    count = settings.count_tokens or len
    passages = compose(pool, generator(seed, "texts", number), settings.length, count, settings.passage_characters)
    ledger = Ledger([text for passage in passages for text in (passage.title, passage.text)])
    split = settings.splits[number % len(settings.splits)]
    drafts: list[Draft] = []
    room = whole_room = int(_MAX_SHARE_OF_FACTS * settings.length)
    for question in range(settings.questions_per_set):
        # No draft takes more than an even share of the room that is left, so that the last ones fit as well.
        share = room // (settings.questions_per_set - question)
        draft, taken = _draft(settings, ledger, split, share, (seed, "question", number, question))
        ledger.add(draft)
        drafts.append(draft)
        room -= taken
    return _placed(drafts, trim(passages, settings.length - (whole_room - room), count), settings, seed, number)


def _draft(
    settings: TaskSettings, ledger: Ledger, split: Split, room: int, purpose: tuple[object, ...]
) -> tuple[Draft, int]:
    """A draft that the ledger admits and that takes no more than the room, and what it takes."""
    count = settings.count_tokens or len
    scene = settings.scene(split, *purpose)
    scene.kinds = [kind for kind in scene.kinds if kind.name not in ledger.whole_sorts]
    scene.companions = [kind for kind in scene.companions if kind.name not in ledger.whole_sorts]
    # To count a whole sort of things keeps its kind from all later tasks of the set, so some must remain for them.
    may_take_a_kind = settings.questions_per_set == 1 or len(scene.kinds) > _SPARE_KINDS
    scene.sorts = ledger.sorts if may_take_a_kind else frozenset(kind.name for kind in scene.kinds)
    form = scene.rng.choice([form for form in settings.forms if possible(form, scene)] or settings.forms)
    shortest = 0
    for _ in range(_TRIES):
        draft = FORMS[form](scene)
        if ledger.admits(draft):
            taken = sum(count(f"\n\n{fact.text}\n\n") for fact in (*draft.needed, *draft.others))
            if taken <= room:
                return draft, taken
            shortest = min(shortest or taken, taken)
    if shortest:
        raise ConfigError(
            f"{setting('length', settings.length)} leaves {room} for the facts of a task",
            limit=f"and those of the form {form!r} need {shortest}",
            remedy=f"use a greater {setting('length')}, fewer {setting('questions_per_set')}, or "
            f"{setting('distractors', 0)}",
        )
    raise ConfigError(
        f"in {_TRIES} draws, no task of the form {form!r} had names that do not occur in the documents yet",
        remedy=f"use fewer than {setting('questions_per_set', settings.questions_per_set)}, or a {setting('length')} "
        f"below {settings.length:,}",
    )


def _placed(
    drafts: Sequence[Draft], passages: Sequence[Passage], settings: TaskSettings, seed: int, number: int
) -> list[Task]:
    rng = generator(seed, "places", number)
    facts: list[tuple[str, float]] = []
    for draft in drafts:
        for fact in draft.needed:
            facts.append((fact.text, rng.random() if settings.depth is None else settings.depth))
        facts.extend((fact.text, rng.random()) for fact in draft.others)
    documents, spots = place(passages, facts, rng)
    order = {document["id"]: at for at, document in enumerate(documents)}
    tasks = []
    at = 0
    for question, draft in enumerate(drafts):
        needed = zip(draft.needed, spots[at : at + len(draft.needed)], strict=True)
        at += len(draft.needed) + len(draft.others)
        by_place = sorted(needed, key=lambda pair: (order[pair[1]["document"]], pair[1]["start"]))
        tasks.append(
            Task(
                index=number * settings.questions_per_set + question,
                document_set=number,
                documents=documents,
                question=draft.question,
                answer=draft.answer([fact for fact, _ in by_place]),
                kind=draft.kind,
                form=draft.form,
                split=settings.splits[number % len(settings.splits)],
                evidence=[spot for _, spot in by_place],
            )
        )
    return tasks

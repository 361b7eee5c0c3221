"""Look-up accuracy: questions of every form and kind about facts that were placed in documents."""

from collections.abc import Iterator, Sequence

from .. import Document
from ..training.tasks import FORMS, Task, TaskSettings, generate_tasks
from .matching import has_whole, same_text
from .measurement import Item, Question, QuestionMeasurement, Scores
from .settings import EvaluationSettings

__all__ = ["Lookup", "documents_of", "held_out_items", "item_of_tasks", "lookup_scores"]

_MAX_NEW_TOKENS = 128


class Lookup(QuestionMeasurement):
    """Tasks of `sharedllm_core.training.tasks` that training never shows, by form, kind and split.

    An answer is right when it is the expected one (`exact`), and counts as found when it has it somewhere, not
    within a longer word or number (`contains`).
    """

    name = "lookup"

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        return held_out_items(settings, tuple(FORMS))

    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """See `QuestionMeasurement`."""
        return lookup_scores(item, answers)


def held_out_items(settings: EvaluationSettings, forms: tuple[str, ...]) -> Iterator[Item]:
    """Items of held-out tasks at each length.

    Args:
        settings: which items are measured.
        forms: of tasks, where the settings name none.
    """
    for length in settings.lengths:
        made = TaskSettings(
            length=length,
            count_tokens=settings.count,
            questions_per_set=settings.questions_per_item,
            forms=settings.forms or forms,
            split="held_out",
        )
        count = settings.items * settings.questions_per_item
        tasks = generate_tasks(settings.surroundings, made, settings.seed, count=count)
        for number in range(settings.items):
            group = [next(tasks) for _ in range(settings.questions_per_item)]
            yield item_of_tasks(f"length-{length}-set-{number}", {"length": length}, group)


def documents_of(task: Task) -> list[Document]:
    """The documents of a task."""
    return [Document(document["text"], id=document["id"]) for document in task.documents]


def item_of_tasks(name: str, labels: dict[str, str | int | float], tasks: Sequence[Task]) -> Item:
    """Tasks over one set of documents as an item."""
    return Item(
        id=name,
        labels=labels,
        documents=documents_of(tasks[0]),
        questions=[
            Question(
                task.question,
                (task.answer,),
                {"form": task.form, "kind": task.kind, "split": task.split},
                tuple((spot["document"], spot["start"], spot["end"]) for spot in task.evidence),
            )
            for task in tasks
        ],
        max_new_tokens=_MAX_NEW_TOKENS,
    )


def lookup_scores(item: Item, answers: Sequence[str]) -> list[Scores]:
    """`exact` and `contains` of answers to look-up questions."""
    return [
        {"exact": same_text(answer, question.expected[0]), "contains": has_whole(answer, question.expected[0])}
        for question, answer in zip(item.questions, answers, strict=True)
    ]

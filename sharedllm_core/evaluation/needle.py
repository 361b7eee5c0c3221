"""The needle heat map: one fact at a known depth of documents of a known length."""

from collections.abc import Iterator, Sequence

from ..training.tasks import TaskSettings, generate_tasks
from .lookup import item_of_tasks, lookup_scores
from .measurement import Item, QuestionMeasurement, Scores
from .settings import EvaluationSettings

__all__ = ["Needle"]


class Needle(QuestionMeasurement):
    """One fact and nothing that could be mistaken for it, at each of `depths` of each of `lengths`.

    Facts and wordings are those that training never shows. Depths are met to within the sentence.
    """

    name = "needle"

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`."""
        for length in settings.lengths:
            for depth in settings.depths:
                made = TaskSettings(
                    length=length,
                    count_tokens=settings.count,
                    forms=("single",),
                    split="held_out",
                    depth=depth,
                    distractors=0,
                )
                tasks = generate_tasks(settings.surroundings, made, settings.seed, count=settings.items)
                for number, task in enumerate(tasks):
                    name = f"length-{length}-depth-{depth}-needle-{number}"
                    yield item_of_tasks(name, {"length": length, "depth": depth}, [task])

    def score(self, item: Item, answers: Sequence[str]) -> list[Scores]:
        """See `QuestionMeasurement`."""
        return lookup_scores(item, answers)

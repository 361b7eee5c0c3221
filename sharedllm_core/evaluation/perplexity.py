"""Perplexity by length: the same last tokens of long texts, given more and more of what stands before them."""

import math
from collections.abc import Iterator

from ..errors import InputError, setting
from ..training.tasks import read_texts
from ..training.tasks.seeding import generator
from .measurement import Item, Measurement, Result
from .settings import EvaluationSettings
from .system import System

__all__ = ["Perplexity"]


class Perplexity(Measurement):
    """−log p of the last `target_tokens` of a text, given each of `lengths` tokens before them.

    The targets are the same at every length, so that only what stands before them makes a difference. A text gives as
    many targets as are needed for `items` in all, at places drawn by the seed.
    """

    name = "perplexity"
    needs = ("texts",)

    def items(self, settings: EvaluationSettings) -> Iterator[Item]:
        """See `Measurement`. Texts that are too short for the greatest length are left out.

        Raises:
            InputError: all are.
        """
        texts = read_texts(settings.texts)
        longest = max(settings.lengths)
        needed = longest + settings.target_tokens
        sizes = [_tokens(text["text"], needed, settings) for text in texts]
        if max(sizes, default=0) < needed:
            raise InputError(
                f"no text has {needed:,} tokens ({longest:,} and {settings.target_tokens:,} to predict)",
                limit=f"and the longest that was counted has {max(sizes, default=0):,}",
                remedy=["give longer texts", f"smaller {setting('lengths')}"],
            )
        per_text = math.ceil(settings.items / sum(size >= needed for size in sizes))
        made = 0
        for number, text in enumerate(texts):
            if made == settings.items:
                return
            if sizes[number] < needed:
                continue
            ids = settings.encode(text["text"])
            rng = generator(settings.seed, "perplexity", number)
            for target in range(min(per_text, settings.items - made)):
                end = rng.randint(needed, len(ids))
                begin = end - settings.target_tokens
                for length in settings.lengths:
                    yield Item(
                        id=f"text-{number}-target-{target}-length-{length}",
                        labels={"length": length},
                        past_ids=ids[begin - length : begin],
                        target_ids=ids[begin:end],
                    )
                made += 1

    def applies_to(self, system: System) -> bool:
        """See `Measurement`: to systems that have losses."""
        return system.scores_text

    def measure(self, system: System, item: Item) -> list[Result]:
        """See `Measurement`. The mean of the losses; their exponential is the perplexity."""
        assert item.past_ids is not None
        assert item.target_ids is not None
        losses = system.losses(item.past_ids, item.target_ids)
        return [Result(item.labels, {"loss": float(losses.double().mean())})]


def _tokens(text: str, needed: int, settings: EvaluationSettings) -> int:
    """Tokens of a text; 0 where it has fewer characters than are needed: hardly a text has more tokens than those."""
    return len(settings.encode(text)) if len(text) >= needed else 0

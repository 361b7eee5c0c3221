"""Which phrasings are for training and which are kept away: every fourth is kept away."""

from collections.abc import Sequence
from random import Random

from .task import Split

__all__ = ["held_out_phrasings", "pick_own", "pick_shared", "training_phrasings"]


def training_phrasings(phrasings: Sequence[str]) -> list[str]:
    """Phrasings that training may show."""
    return [text for place, text in enumerate(phrasings) if place % 4 != 3]


def held_out_phrasings(phrasings: Sequence[str]) -> list[str]:
    """Phrasings that training never shows."""
    return [text for place, text in enumerate(phrasings) if place % 4 == 3]


def pick_own(phrasings: Sequence[str], split: Split, rng: Random) -> str:
    """A phrasing that belongs to a kind: all phrasings of a held-out kind are unseen, so any will do there."""
    if split == "held_out_kind":
        return rng.choice(phrasings)
    return pick_shared(phrasings, split, rng)


def pick_shared(phrasings: Sequence[str], split: Split, rng: Random) -> str:
    """A phrasing that kinds share: with held-out kinds, one that training shows, so that only the kind is new."""
    shown = held_out_phrasings(phrasings) if split == "held_out_phrasing" else training_phrasings(phrasings)
    return rng.choice(shown)

"""Which phrasings are for training and which are kept away: every fourth is kept away."""

from collections.abc import Sequence
from random import Random

from .task import Split

__all__ = ["held_out_phrasings", "own", "pick_own", "pick_shared", "training_phrasings"]


def training_phrasings(phrasings: Sequence[str]) -> list[str]:
    """Phrasings that training may show."""
    return [text for place, text in enumerate(phrasings) if place % 4 != 3]


def held_out_phrasings(phrasings: Sequence[str]) -> list[str]:
    """Phrasings that training never shows."""
    return [text for place, text in enumerate(phrasings) if place % 4 == 3]


def own(phrasings: Sequence[str], split: Split) -> list[str]:
    """Phrasings that belong to a kind: all phrasings of a held-out kind are unseen, so any will do there."""
    return list(phrasings) if split == "held_out_kind" else _shared(phrasings, split)


def _shared(phrasings: Sequence[str], split: Split) -> list[str]:
    return held_out_phrasings(phrasings) if split == "held_out_phrasing" else training_phrasings(phrasings)


def pick_own(phrasings: Sequence[str], split: Split, rng: Random) -> str:
    """One of a kind's own phrasings."""
    return rng.choice(own(phrasings, split))


def pick_shared(phrasings: Sequence[str], split: Split, rng: Random) -> str:
    """A phrasing that kinds share: with held-out kinds, one that training shows, so that only the kind is new."""
    return rng.choice(_shared(phrasings, split))

"""A set of token ids that many tokens at once are looked up in."""

from collections.abc import Iterable

import numpy as np

__all__ = ["TokenSet"]


class TokenSet:
    """Token ids, 0 or more each.

    Args:
        tokens: the ids; there may be none.
    """

    def __init__(self, tokens: Iterable[int]) -> None:
        ids = list(tokens)
        # The last place of the table stands for all ids beyond it, none of which is in the set.
        self._is_in = np.zeros(max(ids, default=0) + 2, dtype=bool)
        self._is_in[ids] = True

    def has(self, ids: np.ndarray) -> np.ndarray:
        """For each of `ids` [l] whether it is in the set: booleans [l]."""
        return self._is_in[np.minimum(ids, len(self._is_in) - 1)]

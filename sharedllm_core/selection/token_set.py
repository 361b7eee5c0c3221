"""A set of token ids with vectorised membership tests."""

from collections.abc import Iterable

import numpy as np

__all__ = ["TokenSet"]


class TokenSet:
    """A set of token ids.

    Args:
        tokens: the ids, not negative; may be empty.
    """

    def __init__(self, tokens: Iterable[int]) -> None:
        ids = list(tokens)
        # The last entry is False and stands for all larger ids.
        self._is_member = np.zeros(max(ids, default=0) + 2, dtype=bool)
        self._is_member[ids] = True

    def has(self, ids: np.ndarray) -> np.ndarray:
        """Test each of `ids` [l] for membership: booleans [l]."""
        return self._is_member[np.minimum(ids, len(self._is_member) - 1)]

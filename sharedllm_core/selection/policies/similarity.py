"""Select the half whose selection vector is more similar to the query's (the paper's policy for questions)."""

from ..policy import Halves, Query, SelectionPolicy
from ._cosine import more_similar_is_right

__all__ = ["Policy"]


class Policy(SelectionPolicy):
    """`similarity`."""

    needs_query = True
    pooling = "last"

    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`. Ties go left."""
        return more_similar_is_right(halves, query)

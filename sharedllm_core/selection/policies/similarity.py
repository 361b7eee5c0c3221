"""The half that is more similar to the query, by the cosine of selection vectors (the paper's policy for questions)."""

from ..policy import Halves, Query, SelectionPolicy
from ._cosine import closer_is_right

__all__ = ["Policy"]


class Policy(SelectionPolicy):
    """`similarity`."""

    needs_query = True
    pooling = "last"

    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`. Ties go left."""
        return closer_is_right(halves, query)

"""Select the half whose mean vector is more similar to the query (beyond the paper).

Like `similarity`, but v(x) is the mean over all tokens of x of their hidden states after the first decoder layer and
the final norm. The last token of a half is often a word in the middle of a sentence; the mean covers all tokens.
"""

from ..policy import Halves, Query, SelectionPolicy
from ._cosine import more_similar_is_right

__all__ = ["Policy"]


class Policy(SelectionPolicy):
    """`pooled`."""

    needs_query = True
    pooling = "mean"

    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`. Ties go left."""
        return more_similar_is_right(halves, query)

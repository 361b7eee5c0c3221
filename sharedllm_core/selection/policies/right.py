"""Always select the right half, so the most recent text is finest: the Λ shape of language modelling."""

from ..policy import Halves, Query, SelectionPolicy

__all__ = ["Policy"]


class Policy(SelectionPolicy):
    """`right`."""

    needs_query = False

    def selects_right(self, halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`."""
        return [True] * len(halves.pairs)

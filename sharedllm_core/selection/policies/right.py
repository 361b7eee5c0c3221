"""Always the right half: the most recent text finest, the Λ shape of language modelling."""

from collections.abc import Sequence

from ...method.context_tree import Node
from ..policy import Halves, Query, SelectionPolicy

__all__ = ["Policy"]


class Policy(SelectionPolicy):
    """`right`."""

    needs_query = False

    def selects_right(self, pairs: Sequence[tuple[Node, Node]], halves: Halves, query: Query | None) -> list[bool]:
        """See `SelectionPolicy`."""
        return [True] * len(pairs)

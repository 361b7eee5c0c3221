"""Always the right half: the most recent text finest, the Λ shape of language modelling."""

from collections.abc import Callable, Sequence

from torch import Tensor

from ..context_tree import Node
from ._policy import SelectionPolicy

__all__ = ["Policy"]


class Policy(SelectionPolicy):
    """`right`."""

    needs_query = False

    def selects_right(
        self,
        pairs: Sequence[tuple[Node, Node]],
        selection_vectors: Callable[[Sequence[Node]], Tensor],
        query_vector: Tensor | None,
    ) -> list[bool]:
        """See `SelectionPolicy`."""
        return [True] * len(pairs)

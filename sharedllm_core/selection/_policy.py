"""The interface of a selection policy."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor

from ..context_tree import Node

__all__ = ["SelectionPolicy"]


class SelectionPolicy(ABC):
    """Decides, for pairs of halves, which one is split further."""

    #: Whether the policy looks at the query; one that does not needs no query and no selection vectors.
    needs_query: ClassVar[bool]

    @abstractmethod
    def selects_right(
        self,
        pairs: Sequence[tuple[Node, Node]],
        selection_vectors: Callable[[Sequence[Node]], Tensor],
        query_vector: Tensor | None,
    ) -> list[bool]:
        """For each (left, right) pair, whether the right half is selected.

        Args:
            pairs: halves of one node each; of one level, and of any number of chunks.
            selection_vectors: gives v(x) of nodes, [number of nodes, hidden size].
            query_vector: v(query) [hidden size]; `None` for a policy that needs no query.
        """

"""What selection needs of a chunk's tree: its nodes and selection vectors, without KV states."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..method.context_tree import Node

__all__ = ["TreeHead"]

# Suffixes: V nodes with a vector, E hidden size.


@dataclass(frozen=True, eq=False)
class TreeHead:
    """The nodes and selection vectors of one chunk's tree.

    Attributes:
        token_ids: the chunk's tokens, int32 [l].
        nodes: the nodes whose states the tree has, in their order.
        states_per_node: k of each of `nodes`.
        vector_nodes: the nodes with selection vectors, in their order.
        vectors: [V, E], selection vectors.
    """

    token_ids: Tensor
    nodes: tuple[Node, ...]
    states_per_node: tuple[int, ...]
    vector_nodes: tuple[Node, ...]
    vectors: Tensor

    def has(self, nodes: Sequence[Node]) -> bool:
        """Whether the tree has the states of all `nodes`."""
        return set(nodes) <= set(self.nodes)

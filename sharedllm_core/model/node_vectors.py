"""`NodeVectors`: a lookup table of selection vectors that computes missing ones on demand."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from ..method.context_tree import Node, Pair
from .lower_model import LowerModel, PastTokens
from .node_states import NodeStates
from .tree_head import TreeHead

__all__ = ["NodeVectors"]

# Suffixes: P pairs, E hidden size.


class NodeVectors:
    """Selection vectors of the nodes of some chunks, known or computed at first use.

    Args:
        lower: the lower model.
        chunks: ids of each.
        known: trees with known vectors; `None` for a chunk without.
    """

    def __init__(
        self, lower: LowerModel, chunks: Sequence[Tensor], known: Sequence[NodeStates | TreeHead | None] | None = None
    ) -> None:
        self._lower = lower
        self._chunks = chunks
        self._vectors: list[dict[Node, Tensor]] = [{} for _ in chunks]
        for number, entry in enumerate(known or ()):
            if entry is not None and entry.vector_nodes:
                self._vectors[number] |= zip(entry.vector_nodes, entry.vectors.to(lower.device), strict=True)

    def __call__(self, pairs: Mapping[int, Pair]) -> Tensor:
        """Return the selection vectors [P, 2, E] of pairs, given by the number of their chunk."""
        self.compute(pairs)
        rows = [self._vectors[number][node] for number, pair in pairs.items() for node in pair]
        return torch.stack(rows).unflatten(0, (-1, 2))

    def compute(self, nodes: Mapping[int, Sequence[Node]]) -> None:
        """Compute the missing vectors of some nodes, given by the number of their chunk."""
        numbers = [n for n, of_chunk in nodes.items() if any(node not in self._vectors[n] for node in of_chunk)]
        if not numbers:
            return
        new = [[node for node in nodes[number] if node not in self._vectors[number]] for number in numbers]
        tokens = PastTokens([self._chunks[number] for number in numbers], self._lower.device)
        rows: Iterator[Tensor] = iter(self._lower.selection_vectors(tokens, new))
        for number, of_chunk in zip(numbers, new, strict=True):
            for node in of_chunk:
                self._vectors[number][node] = next(rows)

    def of_chunk(self, number: int) -> Mapping[Node, Tensor]:
        """Return the vectors [E] of a chunk's nodes that are known so far."""
        return self._vectors[number]

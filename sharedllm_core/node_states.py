"""What the lower model makes of one chunk: the states of its tree's nodes, and which model made them.

States depend on the chunk's own tokens and on the weights, on nothing else: not on the question, the other chunks, or
the place of the chunk. Keys are kept before any rotation, so that they can be placed at any chunk position with a
single rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from .config import SharedLLMConfig
from .context_tree import Node
from .errors import PastContextError

__all__ = ["NodeStates", "StateOrigin"]

# Suffixes: M injection layers, K key/value heads, S states, D head size, V nodes with a vector, E hidden size.


@dataclass(frozen=True, eq=False)
class StateOrigin:
    """Which model made states, and what is needed to place their keys.

    Attributes:
        method: the model's configuration of the method.
        inv_freq: the base model's original inverse frequencies [D/2], float32.
        signature: a few elements of every weight that the states depend on, float32 on the CPU; empty where the
            weights are not at hand (offloaded). A guard against mix-ups, not a proof.
    """

    method: SharedLLMConfig
    inv_freq: Tensor
    signature: Tensor

    def differs_from(self, other: "StateOrigin") -> str | None:
        """Why states of this origin do not fit a model of `other` origin, or `None` when they do.

        Weights count as equal when they agree up to the rounding of a half-precision dtype.
        """
        for name in ("injection_layers", "key_positions", "query_position_offset"):
            mine, theirs = getattr(self.method, name), getattr(other.method, name)
            if mine != theirs:
                return f"it has {name}={mine!r} and the model {name}={theirs!r}"
        if self.inv_freq.shape != other.inv_freq.shape:
            return f"its heads have {2 * len(self.inv_freq)} numbers and the model's {2 * len(other.inv_freq)}"
        mine, theirs = self.signature, other.signature
        if not (mine.numel() and theirs.numel()):
            return None
        if mine.shape != theirs.shape:
            return "the two models' weights differ in shape"
        if not torch.allclose(mine, theirs, rtol=0.02, atol=1e-3 * float(theirs.abs().max())):
            return "the two models' bottom layers have different weights"
        return None


@dataclass(frozen=True, eq=False)
class NodeStates:
    """Downsampled states of nodes of one chunk, and the selection vectors of halves.

    Attributes:
        nodes: the nodes (their `chunk` is 0), in the order of their states.
        states_per_node: k of each of `nodes`.
        keys: [M, K, S, D], after the layer's key norm if it has one, before RoPE.
        values: [M, K, S, D].
        vector_nodes: the nodes that a selection policy may compare.
        vectors: [V, E], their selection vectors.
        origin: the model that made them.
    """

    nodes: tuple[Node, ...]
    states_per_node: tuple[int, ...]
    keys: Tensor
    values: Tensor
    vector_nodes: tuple[Node, ...]
    vectors: Tensor
    origin: StateOrigin

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return self.keys.nbytes + self.values.nbytes + self.vectors.nbytes

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or cast as `Tensor.to` does."""
        return replace(
            self,
            keys=self.keys.to(*args, **kwargs),
            values=self.values.to(*args, **kwargs),
            vectors=self.vectors.to(*args, **kwargs),
        )

    def keep(self, nodes: Sequence[Node]) -> Self:
        """The states of `nodes` alone, in that order; the selection vectors stay.

        Raises:
            PastContextError: one of `nodes` is not here.
        """
        first = dict(zip(self.nodes, _starts(self.states_per_node), strict=True))
        count = dict(zip(self.nodes, self.states_per_node, strict=True))
        if missing := [node for node in nodes if node not in first]:
            raise PastContextError(
                f"{missing[0]} has no states here; there are {len(self.nodes)} nodes: "
                "encode the chunk again with encode_nodes, which keeps all of them"
            )
        states = [i for node in nodes for i in range(first[node], first[node] + count[node])]
        index = torch.tensor(states, device=self.keys.device)
        return replace(
            self,
            nodes=tuple(nodes),
            states_per_node=tuple(count[node] for node in nodes),
            keys=self.keys.index_select(2, index),
            values=self.values.index_select(2, index),
        )

    def vectors_of(self, nodes: Sequence[Node]) -> Tensor:
        """The selection vectors [len(nodes), E] of `nodes`.

        Raises:
            PastContextError: one of `nodes` has none.
        """
        row = {node: i for i, node in enumerate(self.vector_nodes)}
        if missing := [node for node in nodes if node not in row]:
            raise PastContextError(
                f"{missing[0]} has no selection vector here; encode the chunk again with encode_nodes"
            )
        return self.vectors[[row[node] for node in nodes]]


def _starts(counts: Sequence[int]) -> list[int]:
    starts, total = [], 0
    for count in counts:
        starts.append(total)
        total += count
    return starts

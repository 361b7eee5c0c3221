"""The KV states of one chunk's nodes, as the lower model computes them and the tree cache stores them.

States depend only on the chunk's own tokens and on the weights: not on the question, the other chunks, or the position
of the chunk. Keys are stored before any rotation, so that they can be placed at any chunk position with one rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import PastContextError
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node

__all__ = ["NodeStates", "StateOrigin"]

# Suffixes: M injection layers, K key/value heads, S states, D head size, V nodes with a vector, E hidden size,
# W weights that states depend on.

_SAME_METHOD = (
    "injection_layers",
    "sample_at",
    "lower_attention",
    "node_encoding",
    "key_positions",
    "query_position_offset",
)
_HALF_PRECISION = 0.02  # relative, and a little of the weight's largest element: what rounding may change
_OF_LARGEST = 1e-3


@dataclass(frozen=True, eq=False)
class StateOrigin:
    """Which model made states, and what is needed to place their keys.

    Attributes:
        method: the model's configuration of the method.
        inv_freq: the base model's original inverse frequencies [D/2], float32.
        attention_scaling: by which the base model's RoPE stretches what it rotates (YaRN), else 1.
        signature: a few elements of each weight that the states depend on, [W, elements] float32 on the CPU; empty
            where the weights are not at hand. A guard against mix-ups of models, not a proof.
    """

    method: SharedLLMConfig
    inv_freq: Tensor
    attention_scaling: float
    signature: Tensor

    def differs_from(self, other: "StateOrigin") -> str | None:
        """Why states of this origin do not fit a model of `other` origin, or `None` when they do.

        Weights count as equal when they agree up to the rounding of a half-precision dtype.
        """
        if self is other:
            return None
        for name in _SAME_METHOD:
            mine, theirs = getattr(self.method, name), getattr(other.method, name)
            if mine != theirs:
                return f"it has {name}={mine!r} and the model {name}={theirs!r}"
        if self.inv_freq.shape != other.inv_freq.shape:
            return f"its heads have {2 * len(self.inv_freq)} numbers and the model's {2 * len(other.inv_freq)}"
        if not torch.equal(self.inv_freq, other.inv_freq) or self.attention_scaling != other.attention_scaling:
            return "the two models' RoPE parameters differ"
        return self._weights_differ(other)

    def _weights_differ(self, other: "StateOrigin") -> str | None:
        mine, theirs = self.signature, other.signature
        if not (mine.numel() and theirs.numel()):
            return None
        if mine.shape != theirs.shape:
            return "the two models' bottom layers have different weights"
        tolerance = _HALF_PRECISION * theirs.abs() + _OF_LARGEST * theirs.abs().amax(dim=1, keepdim=True)
        if ((mine - theirs).abs() > tolerance).any():
            return "the two models' bottom layers have different weights"
        return None


@dataclass(frozen=True, eq=False)
class NodeStates:
    """Downsampled states of nodes of one chunk, and the selection vectors of halves.

    Attributes:
        token_ids: the chunk's tokens, int32 [l], for policies that compare tokens.
        nodes: the nodes, in the order of their states.
        states_per_node: k of each of `nodes`.
        keys: [M, K, S, D], after the layer's key norm if it has one, before RoPE.
        values: [M, K, S, D].
        vector_nodes: the nodes that a selection policy may compare.
        vectors: [V, E], their selection vectors.
        origin: the model that made them.
    """

    token_ids: Tensor
    nodes: tuple[Node, ...]
    states_per_node: tuple[int, ...]
    keys: Tensor
    values: Tensor
    vector_nodes: tuple[Node, ...]
    vectors: Tensor
    origin: StateOrigin

    def __repr__(self) -> str:
        return f"NodeStates({len(self.nodes)} nodes, {sum(self.states_per_node)} states, {self.nbytes / 1e6:.1f} MB)"

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return self.token_ids.nbytes + self.keys.nbytes + self.values.nbytes + self.vectors.nbytes

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
        index = self.states_of(nodes)
        return replace(
            self,
            nodes=tuple(nodes),
            states_per_node=self.counts_of(nodes),
            keys=self.keys.index_select(2, index),
            values=self.values.index_select(2, index),
        )

    def empty(self, token_ids: Tensor) -> Self:
        """No states, for a chunk of `token_ids` [l] that the same model reads."""
        no_nodes = self.keep([])
        return replace(no_nodes, token_ids=token_ids.to("cpu", torch.int32), vector_nodes=(), vectors=self.vectors[:0])

    def detached(self) -> Self:
        """The same states, without gradients."""
        return replace(self, keys=self.keys.detach(), values=self.values.detach())

    def with_vectors(self, vectors: Mapping[Node, Tensor]) -> Self:
        """These states with the selection vectors [E] of `vectors`; `self` if it has as many already."""
        if len(vectors) <= len(self.vector_nodes):
            return self
        return replace(self, vector_nodes=tuple(vectors), vectors=torch.stack(list(vectors.values())))

    def joined(self, others: "NodeStates") -> Self:
        """These states and those of other nodes of the same chunk."""
        return replace(
            self,
            nodes=self.nodes + others.nodes,
            states_per_node=self.states_per_node + others.states_per_node,
            keys=torch.cat([self.keys, others.keys], dim=2),
            values=torch.cat([self.values, others.values], dim=2),
        )

    def has(self, nodes: Sequence[Node]) -> bool:
        """Whether the states of all of `nodes` are here."""
        return nodes == self.nodes or all(node in self._places for node in nodes)  # mostly the very same, in order

    def states_of(self, nodes: Sequence[Node]) -> Tensor:
        """Where in `keys` and `values` the states of `nodes` are, in the order of `nodes`: [S].

        Raises:
            PastContextError: one of `nodes` is not here.
        """
        self._check_all_in(nodes, self._places, "states")
        places = [i for node in nodes for i in self._places[node]]
        return torch.tensor(places, dtype=torch.long, device=self.keys.device)

    def runs_of(self, nodes: Sequence[Node]) -> list[slice]:
        """The same as `states_of`, as stretches; nodes that stand one behind the other are one.

        Raises:
            PastContextError: one of `nodes` is not here.
        """
        self._check_all_in(nodes, self._places, "states")
        runs: list[slice] = []
        for node in nodes:
            place = self._places[node]
            if runs and runs[-1].stop == place.start:
                runs[-1] = slice(runs[-1].start, place.stop)
            else:
                runs.append(slice(place.start, place.stop))
        return runs

    def counts_of(self, nodes: Sequence[Node]) -> tuple[int, ...]:
        """k of each of `nodes`, which are here."""
        return tuple(len(self._places[node]) for node in nodes)

    @cached_property
    def _places(self) -> dict[Node, range]:
        ends = accumulate(self.states_per_node)
        return {n: range(end - k, end) for n, k, end in zip(self.nodes, self.states_per_node, ends, strict=True)}

    def vectors_of(self, nodes: Sequence[Node]) -> Tensor:
        """The selection vectors [len(nodes), E] of `nodes`.

        Raises:
            PastContextError: one of `nodes` has none.
        """
        self._check_all_in(nodes, self._vector_rows, "selection vector")
        return self.vectors[[self._vector_rows[node] for node in nodes]]

    @cached_property
    def _vector_rows(self) -> dict[Node, int]:
        return {node: i for i, node in enumerate(self.vector_nodes)}

    def _check_all_in(self, nodes: Sequence[Node], there: dict[Node, Any], what: str) -> None:
        if missing := [node for node in nodes if node not in there]:
            raise PastContextError(
                f"{missing[0]} has no {what} here",
                remedy=(
                    f"there are {len(there)} nodes with: encode the chunk again with encode_nodes, "
                    "which keeps all of them"
                ),
            )

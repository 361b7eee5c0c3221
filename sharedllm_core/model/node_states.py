"""The KV states of one chunk's nodes, as the lower model computes them and the tree cache stores them.

States depend only on the chunk's tokens and the weights, not on the question, the other chunks or the chunk's position.
Keys are stored before rotation, so placing them at any chunk position rounds them only once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import PastContextError
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node

__all__ = ["NewStates", "NodeStates", "StateOrigin", "new_states"]

# Suffixes: M injection layers, K key/value heads, S states, D head size, V nodes with a vector, E hidden size,
# W weights that states depend on.

#: Returns tensors of a shape [M, K, S, D] and a dtype that keys and values are read into.
NewStates = Callable[[tuple[int, int, int, int], torch.dtype], tuple[Tensor, Tensor]]

_STATE_SETTINGS = (
    "injection_layers",
    "sample_at",
    "lower_attention",
    "node_encoding",
    "key_positions",
    "query_position_offset",
)
# Rounding to half precision changes a weight by less than the sum of both.
_RELATIVE_TOLERANCE = 0.02
_TOLERANCE_OF_LARGEST = 1e-3  # relative to the weight's largest sampled element


def new_states(shape: tuple[int, int, int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return uninitialised keys and values of a shape [M, K, S, D], on the CPU."""
    return torch.empty(shape, dtype=dtype), torch.empty(shape, dtype=dtype)


@dataclass(frozen=True, eq=False)
class StateOrigin:
    """The model that computed some states, and the RoPE parameters to place their keys.

    Attributes:
        method: the model's configuration of the method.
        inv_freq: the base model's original inverse frequencies [D/2], float32.
        attention_scaling: factor that the base model's RoPE applies to rotated tensors (YaRN), else 1.
        signature: a few elements of each weight that the states depend on, [W, elements] float32 on the CPU; empty
            if the weights are not available. Guards against mixing up models; equality is no proof.
    """

    method: SharedLLMConfig
    inv_freq: Tensor
    attention_scaling: float
    signature: Tensor

    def differs_from(self, other: "StateOrigin") -> str | None:
        """Return why states of this origin are incompatible with a model of `other` origin; `None` if compatible.

        Weights count as equal if they agree up to rounding to a half-precision dtype.
        """
        if self is other:
            return None
        for name in _STATE_SETTINGS:
            mine, theirs = getattr(self.method, name), getattr(other.method, name)
            if mine != theirs:
                return f"it has {name}={mine!r} and the model {name}={theirs!r}"
        if self.inv_freq.shape != other.inv_freq.shape:
            return f"its head size is {2 * len(self.inv_freq)} and the model's {2 * len(other.inv_freq)}"
        if not torch.equal(self.inv_freq, other.inv_freq) or self.attention_scaling != other.attention_scaling:
            return "the two models' RoPE parameters differ"
        return self._weights_differ(other)

    def _weights_differ(self, other: "StateOrigin") -> str | None:
        mine, theirs = self.signature, other.signature
        if not (mine.numel() and theirs.numel()):
            return None
        if mine.shape != theirs.shape:
            return "the two models' bottom layers have different weights"
        tolerance = _RELATIVE_TOLERANCE * theirs.abs() + _TOLERANCE_OF_LARGEST * theirs.abs().amax(dim=1, keepdim=True)
        if ((mine - theirs).abs() > tolerance).any():
            return "the two models' bottom layers have different weights"
        return None


@dataclass(frozen=True, eq=False)
class NodeStates:
    """Downsampled states of nodes of one chunk, and selection vectors.

    Attributes:
        token_ids: the chunk's tokens, int32 [l], for policies that compare tokens.
        nodes: the nodes, in the order of their states.
        states_per_node: k of each of `nodes`.
        keys: [M, K, S, D], after the layer's key norm if it has one, before RoPE.
        values: [M, K, S, D].
        vector_nodes: the nodes with selection vectors, in their order.
        vectors: [V, E], selection vectors.
        origin: the model that computed the states.
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
        """Return only the states of `nodes`, in that order, with all selection vectors.

        Raises:
            PastContextError: a node is missing.
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
        """Return an entry of the same origin without states, for a chunk of `token_ids` [l]."""
        no_nodes = self.keep([])
        return replace(no_nodes, token_ids=token_ids.to("cpu", torch.int32), vector_nodes=(), vectors=self.vectors[:0])

    def with_vectors(self, vectors: Mapping[Node, Tensor]) -> Self:
        """Return these states with selection vectors [E]; `self` if it already has as many."""
        if len(vectors) <= len(self.vector_nodes):
            return self
        return replace(self, vector_nodes=tuple(vectors), vectors=torch.stack(list(vectors.values())))

    def joined(self, others: "NodeStates") -> Self:
        """Concatenate with the states of other nodes of the same chunk."""
        return replace(
            self,
            nodes=self.nodes + others.nodes,
            states_per_node=self.states_per_node + others.states_per_node,
            keys=torch.cat([self.keys, others.keys], dim=2),
            values=torch.cat([self.values, others.values], dim=2),
        )

    def merged(self, others: "NodeStates") -> Self:
        """Add the nodes and selection vectors of `others`, of the same chunk, that are not here yet."""
        new = [node for node in others.nodes if node not in self._ranges]
        vectors = {n: v for tree in (self, others) for n, v in zip(tree.vector_nodes, tree.vectors, strict=True)}
        return (self.joined(others.keep(new)) if new else self).with_vectors(vectors)

    def has(self, nodes: Sequence[Node]) -> bool:
        """Whether this entry has the states of all `nodes`."""
        # Usually the same nodes in the same order.
        return nodes == self.nodes or all(node in self._ranges for node in nodes)

    def states_of(self, nodes: Sequence[Node]) -> Tensor:
        """Return the indices [S] into `keys` and `values` of the states of `nodes`, in the order of `nodes`.

        Raises:
            PastContextError: a node is missing.
        """
        self._check_present(nodes, self._ranges, "states")
        indices = [i for node in nodes for i in self._ranges[node]]
        return torch.tensor(indices, dtype=torch.long, device=self.keys.device)

    def runs_of(self, nodes: Sequence[Node]) -> list[slice]:
        """Return the indices of `states_of` as slices; adjacent nodes are merged into one.

        Raises:
            PastContextError: a node is missing.
        """
        self._check_present(nodes, self._ranges, "states")
        runs: list[slice] = []
        for node in nodes:
            states = self._ranges[node]
            if runs and runs[-1].stop == states.start:
                runs[-1] = slice(runs[-1].start, states.stop)
            else:
                runs.append(slice(states.start, states.stop))
        return runs

    def counts_of(self, nodes: Sequence[Node]) -> tuple[int, ...]:
        """Return k of each of `nodes`, all of which must be present."""
        return tuple(len(self._ranges[node]) for node in nodes)

    @cached_property
    def _ranges(self) -> dict[Node, range]:
        ends = accumulate(self.states_per_node)
        return {n: range(end - k, end) for n, k, end in zip(self.nodes, self.states_per_node, ends, strict=True)}

    def _check_present(self, nodes: Sequence[Node], present: dict[Node, Any], what: str) -> None:
        if missing := [node for node in nodes if node not in present]:
            raise PastContextError(
                f"{missing[0]} has no {what} here, and {len(present)} other nodes have",
                remedy="encode the chunk again with encode_nodes, which keeps all nodes",
            )

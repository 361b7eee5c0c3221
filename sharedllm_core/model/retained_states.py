"""`RetainedStates`: buffers for the retained states of all chunks, filled as the states of some chunks arrive.

So the states of a chunk can be dropped once they are copied here, and no more than the buffers and a few chunks are in
memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain

import torch
from torch import Tensor

from ..method.context_tree import Node, kept_tokens
from .node_states import NodeStates, StateOrigin
from .rotary import angles, rotate

__all__ = ["RetainedStates", "key_rotation"]

_GATHERED_BYTES = 500_000  # of keys per step, so that intermediate tensors stay in the CPU's cache

# Suffixes: M injection layers, K key/value heads, S retained states, D head size.


class RetainedStates:
    """Gathers the retained states of chunks, and rotates their keys to the chunk's position. Not differentiable.

    Args:
        nodes: the retained nodes of each chunk.
        counts: k of each of these.
        positions: the position of each chunk.
        origin: the model that the states belong to.
        device: of the buffers; by default that of the first states.
    """

    def __init__(
        self,
        nodes: Sequence[Sequence[Node]],
        counts: Sequence[Sequence[int]],
        positions: Sequence[int],
        origin: StateOrigin,
        device: torch.device | None = None,
    ) -> None:
        self._nodes = nodes
        self._ends = list(accumulate(map(sum, counts)))
        self._counts = counts
        self._device = device
        self._rotation = key_rotation(nodes, counts, positions, origin)
        self._buffers: tuple[Tensor, Tensor] | None = None

    def add(self, entries: Mapping[int, NodeStates]) -> None:
        """Copy the retained states of some chunks, given by their numbers; entries may have more nodes than those."""
        if not entries:
            return
        keys_MKSD, values_MKSD = self._buffers = self._buffers or self._allocate(next(iter(entries.values())))
        cos_SD, sin_SD = self._rotation
        for at, runs in self._groups(entries, keys_MKSD):
            # Entries of one past context may lie on different devices.
            own_keys = torch.cat([entry.keys[:, :, run].to(keys_MKSD.device) for entry, run in runs], dim=2)
            own = slice(at, at + own_keys.shape[2])
            keys_MKSD[:, :, own] = rotate(own_keys, cos_SD[own], sin_SD[own])
            own_values = [entry.values[:, :, run].to(keys_MKSD.device) for entry, run in runs]
            torch.cat(own_values, dim=2, out=values_MKSD[:, :, own])

    def layers(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the rotated keys and the values, one tensor [K, S, D] per layer, after all chunks were added."""
        assert self._buffers is not None, "no states were added"
        keys_MKSD, values_MKSD = self._buffers
        return keys_MKSD.unbind(0), values_MKSD.unbind(0)

    def _allocate(self, entry: NodeStates) -> tuple[Tensor, Tensor]:
        layers, heads, _, head_size = entry.keys.shape
        device = entry.keys.device if self._device is None else self._device
        self._rotation = self._rotation[0].to(device), self._rotation[1].to(device)
        shape = (layers, heads, self._ends[-1], head_size)
        return entry.keys.new_empty(shape, device=device), entry.values.new_empty(shape, device=device)

    def _groups(
        self, entries: Mapping[int, NodeStates], keys_MKSD: Tensor
    ) -> Iterator[tuple[int, list[tuple[NodeStates, slice]]]]:
        """Yield the first place and the slices of adjacent chunks' states, in groups that are large enough."""
        least = _GATHERED_BYTES * self._ends[-1] // max(keys_MKSD.nbytes, 1)
        runs: list[tuple[NodeStates, slice]] = []
        at = count = 0
        for number in sorted(entries):
            entry, nodes, start = entries[number], self._nodes[number], self._ends[number] - sum(self._counts[number])
            assert entry.counts_of(nodes) == tuple(self._counts[number]), "the buffers have places for other states"
            if runs and (count >= least or start != at + count):
                yield at, runs
                runs, count = [], 0
            own = entry.runs_of(nodes)
            if own and not runs:
                at = start
            runs += [(entry, run) for run in own]
            count += sum(run.stop - run.start for run in own)
        if runs:
            yield at, runs


def key_rotation(
    nodes: Sequence[Sequence[Node]],
    counts: Sequence[Sequence[int]],
    chunk_positions: Sequence[int],
    origin: StateOrigin,
) -> tuple[Tensor, Tensor]:
    """Compute the cosines and sines [S, D] that rotate keys to their positions.

    Keys placed by chunk only are purely rotated. With `local_plus_chunk`, the base RoPE's attention scaling (YaRN) is
    applied as well.
    """
    cos, sin = angles(_state_positions(nodes, counts, chunk_positions, origin), origin.inv_freq)
    scaling = origin.attention_scaling if origin.method.key_positions == "local_plus_chunk" else 1.0
    return cos * scaling, sin * scaling


def _state_positions(
    nodes: Sequence[Sequence[Node]],
    counts: Sequence[Sequence[int]],
    chunk_positions: Sequence[int],
    origin: StateOrigin,
) -> Tensor:
    """Compute P_K, the position [S] of each state: its chunk's, plus its offset in the node for `local_plus_chunk`."""
    states_per_chunk = torch.tensor([sum(of_chunk) for of_chunk in counts], dtype=torch.long)
    position_S = torch.tensor(chunk_positions, dtype=torch.long).repeat_interleave(states_per_chunk)
    if origin.method.key_positions == "local_plus_chunk":
        node_counts = zip(chain.from_iterable(nodes), chain.from_iterable(counts), strict=True)
        offsets = [at for node, k in node_counts for at in kept_tokens(node.length, k, origin.method.sample_at)]
        position_S = position_S + torch.tensor(offsets, dtype=torch.long)
    return position_S

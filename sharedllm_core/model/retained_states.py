"""`RetainedStates`: buffers for the retained states of all chunks, filled as the states of some chunks arrive.

States are read from the cache straight into their places, or copied there, and their keys are rotated in place. So no
more than the buffers and the states of a few chunks are in memory.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from threading import Lock

import torch
from torch import Tensor

from ..method.context_tree import Node, kept_tokens
from .node_states import NewStates, NodeStates, StateOrigin, new_states
from .rotary import angles, rotate_in_place

__all__ = ["RetainedStates", "key_rotation"]

_COPIED_BYTES = 500_000  # of keys per step, so that not every run of states is a copy of its own
_ROTATED_BYTES = 250_000  # per step on a CPU, so that intermediate tensors stay in its cache

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
        self._counts = counts
        ends = list(accumulate(map(sum, counts)))
        self._places = [slice(end - sum(own), end) for end, own in zip(ends, counts, strict=True)]
        self._device = device
        self._rotation = key_rotation(nodes, counts, positions, origin)
        self._buffers: tuple[Tensor, Tensor] | None = None
        self._allocating = Lock()  # entries are read in threads

    def new_states(self, number: int) -> NewStates:
        """Where the states of a chunk can be read to: their place in the buffers, if all of them are read.

        Hand such an entry to `add` and to nothing else: its keys will be rotated.
        """

        def allocate(shape: tuple[int, int, int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
            own = self._places[number]
            if self._device == torch.device("cpu") and shape[2] == own.stop - own.start:
                keys_MKSD, values_MKSD = self._allocated(shape, dtype, self._device)
                places = keys_MKSD[:, :, own], values_MKSD[:, :, own]
                if all(place.shape == shape and place.dtype == dtype for place in places):
                    return places
            return new_states(shape, dtype)

        return allocate

    def add(self, entries: Mapping[int, NodeStates]) -> None:
        """Take the retained states of some chunks, given by their numbers; entries may have more nodes than those."""
        if not entries:
            return
        first = next(iter(entries.values()))
        device = first.keys.device if self._device is None else self._device
        keys_MKSD, values_MKSD = self._allocated(first.keys.shape, first.keys.dtype, device)
        elsewhere = {number: entry for number, entry in entries.items() if not self._is_in_place(number, entry)}
        for own, runs in self._runs(elsewhere, keys_MKSD):
            # Entries of one past context may lie on different devices.
            torch.cat([entry.keys[:, :, run].to(device) for entry, run in runs], dim=2, out=keys_MKSD[:, :, own])
            torch.cat([entry.values[:, :, run].to(device) for entry, run in runs], dim=2, out=values_MKSD[:, :, own])
        cos_SD, sin_SD = self._rotation
        for own in self._blocks(sorted(entries), keys_MKSD):
            rotate_in_place(keys_MKSD[:, :, own], cos_SD[own], sin_SD[own])

    def layers(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the rotated keys and the values, one tensor [K, S, D] per layer, after all chunks were added."""
        assert self._buffers is not None, "no states were added"
        keys_MKSD, values_MKSD = self._buffers
        return keys_MKSD.unbind(0), values_MKSD.unbind(0)

    def _allocated(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the buffers, which are made for states like the first ones: [M, K, *, D]."""
        with self._allocating:
            if self._buffers is None:
                layers, heads, _, head_size = shape
                whole = (layers, heads, len(self._rotation[0]), head_size)
                self._rotation = self._rotation[0].to(device), self._rotation[1].to(device)
                keys_MKSD = torch.empty(whole, dtype=dtype, device=device)
                self._buffers = keys_MKSD, torch.empty_like(keys_MKSD)
            return self._buffers

    def _is_in_place(self, number: int, entry: NodeStates) -> bool:
        assert self._buffers is not None
        place = self._buffers[0][:, :, self._places[number]]
        return entry.keys.data_ptr() == place.data_ptr() and entry.keys.shape == place.shape

    def _runs(
        self, entries: Mapping[int, NodeStates], keys_MKSD: Tensor
    ) -> Iterator[tuple[slice, list[tuple[NodeStates, slice]]]]:
        """Yield the place and the slices of adjacent chunks' states, in groups that are large enough."""
        least = _COPIED_BYTES // max(_bytes_per_state(keys_MKSD), 1)
        runs: list[tuple[NodeStates, slice]] = []
        at = end = 0
        for number in sorted(entries):
            entry, nodes, own = entries[number], self._nodes[number], self._places[number]
            assert entry.counts_of(nodes) == tuple(self._counts[number]), "the buffers have places for other states"
            if runs and (end - at >= least or own.start != end):
                yield slice(at, end), runs
                runs = []
            if not runs:
                at = own.start
            end = own.stop
            runs += [(entry, run) for run in entry.runs_of(nodes)]
        if runs:
            yield slice(at, end), runs

    def _blocks(self, numbers: Iterable[int], keys_MKSD: Tensor) -> Iterator[slice]:
        """Yield the places of chunks, in blocks whose keys fit the CPU's cache."""
        is_on_cpu = keys_MKSD.device.type == "cpu"
        most = max(1, _ROTATED_BYTES // max(_bytes_per_state(keys_MKSD), 1)) if is_on_cpu else keys_MKSD.shape[2]
        at = end = 0
        for number in numbers:
            own = self._places[number]
            if own.start != end:
                yield from _cut(at, end, most)
                at = own.start
            end = own.stop
        yield from _cut(at, end, most)


def _bytes_per_state(states_MKSD: Tensor) -> int:
    return states_MKSD.nbytes // max(states_MKSD.shape[2], 1)


def _cut(start: int, end: int, most: int) -> Iterator[slice]:
    return (slice(at, min(at + most, end)) for at in range(start, end, most))


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

"""`PastContext`: the retained states of all chunks, ready for injection; and batches of past contexts.

Keys are rotated to their chunk positions once, when a past context is assembled. One past context may serve many rows
of running text: beams, samples and questions over the same documents share its states without copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from operator import index
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from ..errors import PastContextError
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node
from .node_states import NodeStates, StateOrigin
from .retained_states import RetainedStates, key_rotation
from .rotary import angles, rotate

__all__ = ["PastContext", "PastContextBatch", "View", "check_chunk_positions"]

# Suffixes: K key/value heads, S retained states, D head size, R rows.


@dataclass(frozen=True, eq=False)
class PastContext:
    """Retained states of all chunks, per injection layer (paper, section 3.3).

    Attributes:
        nodes: the retained nodes of each chunk, coarse to fine, in the order of their states.
        states_per_node: k of each of `nodes`, per chunk.
        chunk_positions: the position of each chunk.
        keys: one tensor [K, S, D] per injection layer, rotated to the chunk positions.
        values: one tensor [K, S, D] per injection layer.
        origin: the model that made the states; `None` for a past context without any.
    """

    nodes: tuple[tuple[Node, ...], ...]
    states_per_node: tuple[tuple[int, ...], ...]
    chunk_positions: tuple[int, ...]
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    origin: StateOrigin | None

    @classmethod
    def empty(cls) -> Self:
        """Return a past context without states: the model then behaves as the base model."""
        return cls((), (), (), (), (), None)

    @classmethod
    def from_nodes(
        cls,
        states: Sequence[NodeStates],
        chunk_positions: Sequence[int] | None = None,
        retained: Sequence[Sequence[Node]] | None = None,
    ) -> Self:
        """Assemble the retained states of several chunks: gather them, and rotate the keys to their chunk's position.

        Gradients flow through to the states.

        Args:
            states: one entry per chunk, its retained nodes only (see `SharedLLMForCausalLM.select_nodes`).
            chunk_positions: the position of each chunk; 0 … n−1 by default.
            retained: the nodes to take from entries that have more; all by default.

        Raises:
            PastContextError: overlapping nodes of a chunk, states of different models, or a wrong number of positions.
        """
        positions = check_chunk_positions(len(states), chunk_positions)
        if not states:
            return cls.empty()
        origin = states[0].origin
        nodes = tuple(tuple(kept) for kept in ([entry.nodes for entry in states] if retained is None else retained))
        for number, (entry, kept) in enumerate(zip(states, nodes, strict=True)):
            _check_disjoint(number, kept)
            if why := entry.origin.differs_from(origin):
                raise PastContextError(
                    f"the states of chunk {number} come from another model than those of chunk 0: {why}",
                    remedy="encode all chunks with one model",
                )
        counts = tuple(entry.counts_of(kept) for entry, kept in zip(states, nodes, strict=True))
        if torch.is_grad_enabled() and any(entry.keys.requires_grad or entry.values.requires_grad for entry in states):
            layers = _cat(states, nodes, key_rotation(nodes, counts, positions, origin))
        else:
            gathered = RetainedStates(nodes, counts, positions, origin)
            gathered.add(dict(enumerate(states)))
            layers = gathered.layers()
        return cls(nodes, counts, positions, *layers, origin)

    @staticmethod
    def stack(rows: Sequence["PastContext | None"]) -> "PastContextBatch":
        """Return a batch with one past context or `None` per row. Rows with the same object share its states."""
        distinct: dict[PastContext, int] = {}
        numbers = [None if row is None else distinct.setdefault(row, len(distinct)) for row in rows]
        return PastContextBatch(tuple(distinct), tuple(numbers))

    def __repr__(self) -> str:
        return (
            f"PastContext({len(self.chunk_positions)} chunks, {self.num_nodes} nodes, {self.num_states} states in "
            f"each of {len(self.keys)} layers, {self.nbytes / 1e6:.1f} MB)"
        )

    @cached_property
    def num_states(self) -> int:
        """S, retained states per layer and head."""
        return sum(map(sum, self.states_per_node))

    @property
    def num_nodes(self) -> int:
        """Retained nodes of all chunks."""
        return sum(map(len, self.nodes))

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or cast as `Tensor.to` does."""
        move = [tuple(tensor.to(*args, **kwargs) for tensor in tensors) for tensors in (self.keys, self.values)]
        if all(new is old for new, old in zip((*move[0], *move[1]), (*self.keys, *self.values), strict=True)):
            return self  # keeps cached properties
        return replace(self, keys=move[0], values=move[1])

    @cached_property
    def query_position(self) -> int:
        """P_Q, the position of all queries: 1 + the largest position of a chunk with states + the offset."""
        assert self.origin is not None, "a past context without states has no position for queries"
        largest = max(position for position, nodes in zip(self.chunk_positions, self.nodes, strict=True) if nodes)
        return 1 + largest + self.origin.method.query_position_offset

    def query_rotation(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the cosine and sine [1, D] of the queries' position on a device; computed once per device."""
        if device not in self._query_rotations:
            assert self.origin is not None
            with torch.inference_mode(False):  # the cached tensors may be used in training later
                cos, sin = angles(torch.tensor([self.query_position]), self.origin.inv_freq)
                self._query_rotations[device] = cos.to(device), sin.to(device)
        return self._query_rotations[device]

    @cached_property
    def _query_rotations(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        return {}


class View(NamedTuple):
    """A past context as the injection uses it: the rows that attend to it, and the rotation of their queries.

    Attributes:
        past: retained states, at least one.
        rows: numbers [R] of the rows that attend to it, or `None` for all rows.
        cos, sin: [1, D], for the queries' position.
        sharpness: factor of the attention logits, see `SharedLLMConfig.sharpen_above`.
    """

    past: PastContext
    rows: Tensor | None
    cos: Tensor
    sin: Tensor
    sharpness: float = 1.0


@dataclass(frozen=True, eq=False)
class PastContextBatch:
    """The past contexts of the rows of a batch.

    Attributes:
        entries: the distinct past contexts.
        rows: for each row the number of its entry, or `None` for a row without past context.
    """

    entries: tuple[PastContext, ...]
    rows: tuple[int | None, ...]

    @classmethod
    def broadcast(cls, past_context: "PastContext | PastContextBatch", batch_size: int) -> "PastContextBatch":
        """Share a single past context among `batch_size` rows; return a batch unchanged.

        Raises:
            PastContextError: neither of both, or a batch of another size.
        """
        if isinstance(past_context, PastContext):
            return cls((past_context,), (0,) * batch_size)
        if not isinstance(past_context, PastContextBatch):
            raise PastContextError(
                f"past_context is a {type(past_context).__name__}",
                remedy="give what encode_past_context or PastContext.stack returned",
            )
        if len(past_context.rows) != batch_size:
            raise PastContextError(
                f"the past context has {len(past_context.rows)} rows and the running text {batch_size}",
                remedy="stack one past context, or None, per row",
            )
        return past_context

    def __repr__(self) -> str:
        return f"PastContextBatch({len(self.rows)} rows, {len(self.entries)} past contexts, {self.nbytes / 1e6:.1f} MB)"

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values; shared states count once."""
        return sum(entry.nbytes for entry in self.entries)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or cast as `Tensor.to` does."""
        return replace(self, entries=tuple(entry.to(*args, **kwargs) for entry in self.entries))

    def repeat_interleave(self, repeats: int) -> Self:
        """Repeat each row in place, as `generate` does for beams and samples. No states are copied."""
        return replace(self, rows=tuple(row for row in self.rows for _ in range(repeats)))

    def views(self, method: SharedLLMConfig, device: torch.device, dtype: torch.dtype) -> list[View]:
        """Group the rows by past context; rows without states are in no view.

        Args:
            method: the configuration of the answering model, which may differ from that of the states.
            device: the queries' device.
            dtype: the dtype to cast the states to.
        """
        rows: list[list[int]] = [[] for _ in self.entries]
        for row, number in enumerate(self.rows):
            if number is not None:
                rows[number].append(row)
        views = []
        for entry, own_rows in zip(self.entries, rows, strict=True):
            if own_rows and entry.num_states:
                row_index = None if len(own_rows) == len(self.rows) else torch.tensor(own_rows, device=device)
                cos, sin = entry.query_rotation(device)
                views.append(View(entry.to(dtype), row_index, cos, sin, method.sharpness(entry.num_states)))
        return views


def _cat(
    states: Sequence[NodeStates], retained: Sequence[Sequence[Node]], rotation: tuple[Tensor, Tensor]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Concatenate the retained states; unlike `RetainedStates`, gradients flow to them.

    Writing slices into a buffer would copy the gradient of the whole buffer for every slice.
    """
    runs = [(entry, run) for entry, nodes in zip(states, retained, strict=True) for run in entry.runs_of(nodes)]
    keys_MKSD = torch.cat([entry.keys[:, :, run] for entry, run in runs], dim=2)
    rotated = rotate(keys_MKSD, *(part.to(keys_MKSD.device) for part in rotation))
    return rotated.unbind(0), torch.cat([entry.values[:, :, run] for entry, run in runs], dim=2).unbind(0)


def check_chunk_positions(num_chunks: int, chunk_positions: Sequence[int] | None) -> tuple[int, ...]:
    """Validate the positions of chunks; `None` gives 0 … n−1.

    Raises:
        PastContextError: the number of positions is not that of chunks, or one is negative or not an integer.
    """
    if chunk_positions is None:
        return tuple(range(num_chunks))
    try:
        positions = tuple(index(position) for position in chunk_positions)
    except TypeError as error:
        raise PastContextError(
            f"chunk_positions={list(chunk_positions)!r} are not whole numbers",
            remedy="give integers",
        ) from error
    if len(positions) != num_chunks:
        raise PastContextError(
            f"{len(positions)} chunk_positions for {num_chunks} chunks",
            remedy="give one per chunk",
        )
    if positions and min(positions) < 0:
        raise PastContextError(
            f"chunk position {min(positions)} is negative",
            remedy="count from 0",
        )
    return positions


def _check_disjoint(chunk: int, nodes: Sequence[Node]) -> None:
    spans = sorted((node.start, node.end) for node in nodes)
    ends = accumulate((end for _, end in spans), max)
    for (start, _), (reached, _) in zip(spans[1:], zip(ends, spans, strict=False), strict=False):
        if start < reached:
            raise PastContextError(
                f"the {len(nodes)} nodes of chunk {chunk} overlap at token {start}, so its text would be "
                "injected more than once",
                remedy="pass the states through select_nodes first",
            )

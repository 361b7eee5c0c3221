"""`PastContext`: the retained states of a whole past context, ready to be injected; and batches of them.

Keys are rotated to their chunk positions once, when a past context is made. A past context belongs to one row of
running text or to many: rows that share one share its states, so that beams, samples and questions over the same
documents cost no copies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain
from operator import index
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from ..errors import PastContextError
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node, kept_tokens
from .node_states import NodeStates, StateOrigin
from .rotary import angles, rotate

__all__ = ["PastContext", "PastContextBatch", "View", "check_chunk_positions"]

_GATHERED_BYTES = 500_000  # of keys at once: what is made of them stays in a processor's cache

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
        """A past context with nothing in it: the model answers as the base model would."""
        return cls((), (), (), (), (), None)

    @classmethod
    def from_nodes(
        cls,
        states: Sequence[NodeStates],
        chunk_positions: Sequence[int] | None = None,
        retained: Sequence[Sequence[Node]] | None = None,
    ) -> Self:
        """Assemble the retained states of several chunks: gather them, and rotate the keys to their chunk's position.

        Gradients flow through it where the states have them.

        Args:
            states: one entry per chunk, its retained nodes only (see `SharedLLMForCausalLM.select_nodes`).
            chunk_positions: the position of each chunk; 0 … n−1 by default.
            retained: which nodes to take of entries that hold more; all by default.

        Raises:
            PastContextError: nodes of a chunk that overlap, states of different models, or a wrong number of positions.
        """
        positions = check_chunk_positions(len(states), chunk_positions)
        if not states:
            return cls.empty()
        origin = states[0].origin
        chosen = [entry.nodes for entry in states] if retained is None else retained
        for number, (entry, taken) in enumerate(zip(states, chosen, strict=True)):
            _check_disjoint(number, taken)
            if why := entry.origin.differs_from(origin):
                raise PastContextError(
                    f"the states of chunk {number} come from another model than those of chunk 0: {why}",
                    remedy="encode all chunks with one model",
                )
        nodes = tuple(tuple(taken) for taken in chosen)
        counts = tuple(entry.counts_of(taken) for entry, taken in zip(states, nodes, strict=True))
        rotation = _key_rotation(_state_positions(nodes, counts, positions, origin), origin)
        keys, values = _gather(states, nodes, sum(map(sum, counts)), rotation)
        return cls(nodes, counts, positions, keys.unbind(0), values.unbind(0), origin)

    @staticmethod
    def stack(rows: Sequence["PastContext | None"]) -> "PastContextBatch":
        """A batch with one past context, or none, per row. Rows that are the same object share its states."""
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
            return self  # with what it has worked out already
        return replace(self, keys=move[0], values=move[1])

    @cached_property
    def query_position(self) -> int:
        """P_Q, the one position of all running text: 1 + the largest position of a chunk with states, + the offset."""
        assert self.origin is not None, "a past context without states has no position for queries"
        largest = max(position for position, nodes in zip(self.chunk_positions, self.nodes, strict=True) if nodes)
        return 1 + largest + self.origin.method.query_position_offset

    def query_rotation(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cosine and sine [1, D] of the queries' position, on a device; worked out once, not at every token."""
        if device not in self._query_rotations:
            assert self.origin is not None
            with torch.inference_mode(False):  # what is kept may be trained with later
                cos, sin = angles(torch.tensor([self.query_position]), self.origin.inv_freq)
                self._query_rotations[device] = cos.to(device), sin.to(device)
        return self._query_rotations[device]

    @cached_property
    def _query_rotations(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        return {}


class View(NamedTuple):
    """A past context as the injection uses it: who sees it, and how their queries are rotated.

    Attributes:
        past: retained states; there are some.
        rows: numbers [R] of the rows that see it, or `None` for all rows.
        cos, sin: [1, D], of the queries' position.
        sharpness: what attention's logits are multiplied by, see `SharedLLMConfig.sharpen_above`.
    """

    past: PastContext
    rows: Tensor | None
    cos: Tensor
    sin: Tensor
    sharpness: float = 1.0


@dataclass(frozen=True, eq=False)
class PastContextBatch:
    """Past contexts of the rows of a batch.

    Attributes:
        entries: the distinct past contexts.
        rows: for each row the number of its entry, or `None` for a row without past context.
    """

    entries: tuple[PastContext, ...]
    rows: tuple[int | None, ...]

    @classmethod
    def of(cls, past_context: "PastContext | PastContextBatch", batch_size: int) -> "PastContextBatch":
        """The batch for `batch_size` rows; a single past context is shared by all of them.

        Raises:
            PastContextError: a batch of another size.
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
        """Bytes of all keys and values; shared ones count once."""
        return sum(entry.nbytes for entry in self.entries)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or cast as `Tensor.to` does."""
        return replace(self, entries=tuple(entry.to(*args, **kwargs) for entry in self.entries))

    def repeat_interleave(self, repeats: int) -> Self:
        """Each row `repeats` times in place, as `generate` does for beams and samples. No states are copied."""
        return replace(self, rows=tuple(row for row in self.rows for _ in range(repeats)))

    def views(self, method: SharedLLMConfig, device: torch.device, dtype: torch.dtype) -> list[View]:
        """What the rows see, ready for queries of `device` and `dtype`; rows without states are in none.

        `method` is that of the model that answers; states may have been made with other numbers of answering.
        """
        rows: list[list[int]] = [[] for _ in self.entries]
        for row, number in enumerate(self.rows):
            if number is not None:
                rows[number].append(row)
        views = []
        for entry, of in zip(self.entries, rows, strict=True):
            if of and entry.num_states:
                only = None if len(of) == len(self.rows) else torch.tensor(of, device=device)
                cos, sin = entry.query_rotation(device)
                views.append(View(entry.to(dtype), only, cos, sin, method.sharpness(entry.num_states)))
        return views


def _gather(
    states: Sequence[NodeStates], chosen: Sequence[Sequence[Node]], num_states: int, rotation: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Keys, rotated, and values of the chosen nodes, each [M, K, S, D].

    A few chunks at a time, so that what is read and rotated stays in the processor's cache and is written once.
    """
    first = states[0].keys
    if torch.is_grad_enabled() and any(entry.keys.requires_grad or entry.values.requires_grad for entry in states):
        # Writing into a buffer would copy the gradient of all states for every part.
        runs = [(entry, run) for entry, taken in zip(states, chosen, strict=True) for run in entry.runs_of(taken)]
        keys_MKSD = torch.cat([entry.keys[:, :, run] for entry, run in runs], dim=2)
        rotated = rotate(keys_MKSD, *(part.to(first.device) for part in rotation))
        return rotated, torch.cat([entry.values[:, :, run] for entry, run in runs], dim=2)
    shape = (*first.shape[:2], num_states, first.shape[-1])
    keys_MKSD, values_MKSD = first.new_empty(shape), first.new_empty(shape)
    cos_SD, sin_SD = (part.to(first.device) for part in rotation)
    at = 0
    for runs in _runs_together(states, chosen, full=_GATHERED_BYTES * num_states // max(keys_MKSD.nbytes, 1)):
        # Entries of one past context may lie on different devices.
        own_keys = torch.cat([entry.keys[:, :, run].to(first.device) for entry, run in runs], dim=2)
        own = slice(at, at + own_keys.shape[2])
        keys_MKSD[:, :, own] = rotate(own_keys, cos_SD[own], sin_SD[own])
        torch.cat([entry.values[:, :, run].to(first.device) for entry, run in runs], dim=2, out=values_MKSD[:, :, own])
        at = own.stop
    return keys_MKSD, values_MKSD


def _runs_together(
    states: Sequence[NodeStates], chosen: Sequence[Sequence[Node]], full: int
) -> Iterator[list[tuple[NodeStates, slice]]]:
    """Where the chosen nodes' states are, chunks together until they have `full` states."""
    runs: list[tuple[NodeStates, slice]] = []
    waiting = 0
    for entry, taken in zip(states, chosen, strict=True):
        own = entry.runs_of(taken)
        runs += [(entry, run) for run in own]
        waiting += sum(run.stop - run.start for run in own)
        if waiting >= full:
            yield runs
            runs, waiting = [], 0
    if runs:
        yield runs


def check_chunk_positions(num_chunks: int, chunk_positions: Sequence[int] | None) -> tuple[int, ...]:
    """The positions to use: those given, one per chunk and none negative, or 0 … n−1.

    Raises:
        PastContextError: another number of positions than chunks, or one that is negative or not whole.
    """
    if chunk_positions is None:
        return tuple(range(num_chunks))
    try:
        positions = tuple(index(position) for position in chunk_positions)
    except TypeError as error:
        raise PastContextError(
            f"chunk_positions={list(chunk_positions)!r} are not whole numbers",
            remedy="give whole ones",
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


def _key_rotation(position_S: Tensor, origin: StateOrigin) -> tuple[Tensor, Tensor]:
    """Cosines and sines [S, D] that place keys at their positions.

    By the chunk alone this is a pure rotation. A key that keeps its place in the node also keeps what the base's RoPE
    does beside rotating (YaRN's scaling).
    """
    cos, sin = angles(position_S, origin.inv_freq)
    scaling = origin.attention_scaling if origin.method.key_positions == "local_plus_chunk" else 1.0
    return cos * scaling, sin * scaling


def _state_positions(
    nodes: Sequence[Sequence[Node]],
    counts: Sequence[Sequence[int]],
    chunk_positions: Sequence[int],
    origin: StateOrigin,
) -> Tensor:
    """P_K, the position [S] of each state: its chunk's, and in `local_plus_chunk` its place in the node added."""
    states_per_chunk = torch.tensor([sum(of_chunk) for of_chunk in counts], dtype=torch.long)
    position_S = torch.tensor(chunk_positions, dtype=torch.long).repeat_interleave(states_per_chunk)
    if origin.method.key_positions == "local_plus_chunk":
        placed = zip(chain.from_iterable(nodes), chain.from_iterable(counts), strict=True)
        places = [place for node, k in placed for place in kept_tokens(node.length, k, origin.method.sample_at)]
        position_S = position_S + torch.tensor(places, dtype=torch.long)
    return position_S


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

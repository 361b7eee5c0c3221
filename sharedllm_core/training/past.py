"""The past contexts of a batch, with gradients: all rows' chunks go through the lower model together.

Each row selects with its own query. A row may also see the trees of other rows (`in_batch_past`): as they were selected
for those, at their own chunk positions here, so that they cost the lower model nothing.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from ..method.config import SharedLLMConfig
from ..method.context_tree import Node, num_states, retained_nodes, whole_chunk
from ..model.encoding import encode_in_place, read_query
from ..model.lower_model import LowerModel, PastTokens
from ..model.node_states import StateOrigin
from ..model.past_context import PastContext, key_rotation, state_positions
from ..model.rotary import rotate
from ..selection.choice import borders_of, choose_of_texts
from ..selection.policy import Halves, Query, load_policy
from ..text.library import shared_positions
from .batch import PastBatch

__all__ = ["BatchStates", "encode_batch", "row_past"]

# Suffixes: K key/value heads, S states, D head size, E hidden size.


@dataclass(frozen=True)
class BatchStates:
    """Retained states of all chunks of a batch, before rotation.

    Attributes:
        nodes, counts: of each chunk its retained nodes, and the states of each.
        lengths, rows: of each chunk.
        num_rows: of the batch; some may have no chunk.
        keys, values: per layer [K, S, D], chunk after chunk.
    """

    nodes: list[list[Node]]
    counts: list[list[int]]
    lengths: list[int]
    rows: list[int]
    keys: list[Tensor]
    values: list[Tensor]
    origin: StateOrigin
    num_rows: int

    def detached(self) -> "BatchStates":
        """The same states, through which no gradient flows."""
        return replace(self, keys=[key.detach() for key in self.keys], values=[value.detach() for value in self.values])

    @staticmethod
    def joined(parts: Sequence["BatchStates"]) -> "BatchStates":
        """Several batches as one; the rows of each are counted on from those of the one before it."""
        first = [0, *accumulate(part.num_rows for part in parts)]
        return replace(
            parts[0],
            nodes=[nodes for part in parts for nodes in part.nodes],
            counts=[counts for part in parts for counts in part.counts],
            lengths=[length for part in parts for length in part.lengths],
            rows=[row + start for part, start in zip(parts, first, strict=False) for row in part.rows],
            keys=[torch.cat(layer, dim=1) for layer in zip(*(part.keys for part in parts), strict=True)],
            values=[torch.cat(layer, dim=1) for layer in zip(*(part.values for part in parts), strict=True)],
            num_rows=first[-1],
        )


def encode_batch(lower: LowerModel, batch: PastBatch, *, noisy: bool) -> BatchStates | None:
    """Select for each row with its query, and encode what all rows retain; `None` for a batch without past."""
    if not batch.chunks:
        return None
    tokens = PastTokens(batch.chunks, lower.device)
    with torch.no_grad():  # a choice has no gradient
        retained = _select(lower, tokens, batch, noisy)
    flat = [node for nodes in retained for node in nodes]
    counts = [num_states(node.length, node.level, lower.method) for node in flat]
    origin = lower.origin()
    keys, values = encode_in_place(lower, tokens, flat, counts, origin)
    per_chunk, at = [], 0
    for nodes in retained:
        per_chunk.append(counts[at : at + len(nodes)])
        at += len(nodes)
    return BatchStates(retained, per_chunk, tokens.lengths, batch.rows, keys, values, origin, len(batch.queries))


def _select(lower: LowerModel, tokens: PastTokens, batch: PastBatch, noisy: bool) -> list[list[Node]]:
    method = lower.method
    queries = {
        row: read_query(lower, batch.queries[row], [batch.chunks[i] for i, of in enumerate(batch.rows) if of == row])
        for row in sorted(set(batch.rows))
    }
    if method.scope == "past":  # each row has a budget of its own
        return _select_per_row(method, batch, queries)
    policy = load_policy(method.policy)

    def select(pairs: Sequence[tuple[Node, Node]]) -> list[bool]:
        both = [half for pair in pairs for half in pair]
        compares = method.compares_vectors
        vector_of = dict(zip(both, lower.selection_vectors(tokens, both), strict=True)) if compares else {}
        halves = Halves(lambda nodes: torch.stack([vector_of[node] for node in nodes]), batch.chunks.__getitem__)
        by_row: dict[int, list[int]] = {}
        for number, (left, _) in enumerate(pairs):
            by_row.setdefault(batch.rows[left.chunk], []).append(number)
        chosen = [False] * len(pairs)
        for row, numbers in by_row.items():
            of_row = policy.selects_right([pairs[number] for number in numbers], halves, queries[row])
            for number, right in zip(numbers, of_row, strict=True):
                chosen[number] = right
        return chosen

    noise = (lambda: method.split_noise_tokens * float(torch.randn(()))) if noisy else None
    roots = [whole_chunk(i, length) for i, length in enumerate(tokens.lengths)]
    return retained_nodes(roots, method.tree_depth, select, noise, borders_of(batch.chunks, method))


def _select_per_row(method: SharedLLMConfig, batch: PastBatch, queries: dict[int, Query | None]) -> list[list[Node]]:
    retained: dict[int, list[Node]] = {}
    for row, query in queries.items():
        numbers = [number for number, of in enumerate(batch.rows) if of == row]
        chosen = choose_of_texts(method, [batch.chunks[number] for number in numbers], query)
        for number, nodes in zip(numbers, chosen, strict=True):
            retained[number] = [node._replace(chunk=number) for node in nodes]
    return [retained[number] for number in range(len(batch.rows))]


def row_past(
    states: BatchStates,
    row: int,
    others: Sequence[int],
    random_positions: int,
    chance: random.Random,
    *,
    own_last: bool,
) -> PastContext | None:
    """What one row sees: its own chunks, and those of other rows.

    Args:
        states: of the batch.
        row: whose past context.
        others: rows whose trees it sees, too.
        random_positions: draw chunk positions, in order, from so many; 0 for 0, 1, 2 …
        chance: for the order of the rows, and the positions.
        own_last: its own chunks come right before the running text, as in one long text; otherwise anywhere.
    """
    order = [row, *others]
    chance.shuffle(order)
    if own_last:
        order = [*(other for other in order if other != row), row]
    chunks = [chunk for seen in order for chunk, of in enumerate(states.rows) if of == seen]
    if not chunks:
        return None
    places = shared_positions([states.lengths[chunk] for chunk in chunks], _chunk_tokens(states))
    if random_positions > places[-1] + 1:
        drawn = sorted(chance.sample(range(random_positions), places[-1] + 1))
        places = tuple(drawn[place] for place in places)
    nodes = tuple(node._replace(chunk=i) for i, chunk in enumerate(chunks) for node in states.nodes[chunk])
    counts = tuple(count for chunk in chunks for count in states.counts[chunk])
    index_S = _states_of(states, chunks).to(states.keys[0].device)
    cos_SD, sin_SD = key_rotation(state_positions(nodes, counts, places, states.origin), states.origin)
    keys, values = [], []
    for key_KSD, value_KSD in zip(states.keys, states.values, strict=True):
        device = key_KSD.device
        keys.append(rotate(key_KSD.index_select(1, index_S.to(device)), cos_SD.to(device), sin_SD.to(device)))
        values.append(value_KSD.index_select(1, index_S.to(device)))
    return PastContext(nodes, counts, places, tuple(keys), tuple(values), states.origin)


def _states_of(states: BatchStates, chunks: Sequence[int]) -> Tensor:
    sizes = [sum(counts) for counts in states.counts]
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    return torch.cat([torch.arange(starts[chunk], starts[chunk + 1]) for chunk in chunks])


def _chunk_tokens(states: BatchStates) -> int:
    return states.origin.method.chunk_tokens

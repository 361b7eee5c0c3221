"""From chunks of token ids to a `PastContext`, or to the `NodeStates` that a cache keeps.

Two ways lead to the same past context. `encode_past_context` selects first and encodes only what it retains: the
shortest way to a first answer. `encode_nodes` encodes every node once; `retention.py` then picks the retained ones for
each question without running the lower model again.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from ..method.config import SharedLLMConfig
from ..method.context_tree import Node, num_states, whole_chunk
from ..selection.choice import choose, nodes_of
from ..selection.policy import Query, load_policy
from .lower_model import LowerModel, PastTokens
from .node_states import NodeStates, StateOrigin
from .past_context import PastContext, key_rotation, state_positions
from .rotary import rotate

__all__ = [
    "comparable_vectors",
    "encode_in_place",
    "encode_nodes",
    "encode_past_context",
    "encode_per_chunk",
    "needs_query",
    "read_query",
]

# Suffixes: M injection layers, K key/value heads, S states, D head size, E hidden size.


def needs_query(method: SharedLLMConfig) -> bool:
    """Whether the selection policy looks at the query."""
    return load_policy(method.policy).needs_query


@torch.no_grad()
def read_query(lower: LowerModel, query_ids: Tensor | None, chunks: Sequence[Tensor]) -> Query | None:
    """What the policy compares with, for all chunks of a past context; `None` for one that needs no query."""
    policy = load_policy(lower.method.policy)
    if not policy.needs_query:
        return None
    assert query_ids is not None, "the model has checked that there is a query"
    vector_E = None
    if policy.pooling is not None:
        tokens = PastTokens([query_ids], lower.device)
        vector_E = lower.selection_vectors(tokens, [whole_chunk(0, len(query_ids))])[0]
    return Query(vector_E, policy.weights(query_ids, chunks))


def encode_past_context(
    lower: LowerModel, chunks: Sequence[Tensor], query: Query | None, positions: tuple[int, ...], noisy: bool
) -> PastContext:
    """Select, then run the lower model on the retained nodes alone. Arguments are checked; no chunk is empty."""
    method = lower.method
    tokens = PastTokens(chunks, lower.device)
    with torch.no_grad():  # a choice has no gradient
        per_chunk = choose(
            method,
            chunks,
            lambda nodes: lower.selection_vectors(tokens, nodes),
            query,
            noise=(lambda: method.split_noise_tokens * float(torch.randn(()))) if noisy else None,
        )
    nodes = [node for of_chunk in per_chunk for node in of_chunk]
    counts = [num_states(node.length, node.level, method) for node in nodes]
    origin = lower.origin()
    position_S = state_positions(nodes, counts, positions, origin)
    keys, values = encode_in_place(lower, tokens, nodes, counts, origin, position_S)
    return PastContext(tuple(nodes), tuple(counts), positions, tuple(keys), tuple(values), origin)


def encode_in_place(
    lower: LowerModel,
    tokens: PastTokens,
    nodes: list[Node],
    counts: list[int],
    origin: StateOrigin,
    position_S: Tensor | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """States of `nodes` in their order, per layer keys and values [K, S, D]; keys rotated when positions are given.

    Each batch is written where it belongs as soon as it is there, so that nothing is held twice.
    """
    starts = [0, *accumulate(counts)]
    keys: list[Tensor] = []
    values: list[Tensor] = []
    for indices, batch in lower.states(tokens, nodes):
        slots = torch.cat([torch.arange(starts[i], starts[i] + counts[i]) for i in indices])
        rotation = None if position_S is None else key_rotation(position_S[slots], origin)
        for layer, (key_KSD, value_KSD) in enumerate(zip(batch.keys, batch.values, strict=True)):
            device = key_KSD.device
            placed_KSD = key_KSD if rotation is None else rotate(key_KSD, *(part.to(device) for part in rotation))
            if layer == len(keys):
                shape = (len(value_KSD), sum(counts), value_KSD.shape[-1])
                keys.append(value_KSD.new_empty(shape))
                values.append(value_KSD.new_empty(shape))
            # Under autocast a key norm gives keys another dtype than values have.
            keys[layer].index_copy_(1, slots.to(device), placed_KSD.to(value_KSD.dtype))
            values[layer].index_copy_(1, slots.to(device), value_KSD)
    return keys, values


def encode_nodes(lower: LowerModel, chunks: Sequence[Tensor]) -> list[NodeStates]:
    """Every node of every chunk. Chunks are taken a few at a time, as many as fill a batch of the lower model."""
    origin = lower.origin()
    encoded: list[NodeStates] = []
    while len(encoded) < len(chunks):
        some: list[Tensor] = []
        tokens = 0
        while len(encoded) + len(some) < len(chunks):
            chunk = chunks[len(encoded) + len(some)]
            tokens += len(chunk)
            if some and tokens > lower.batch_tokens:
                break
            some.append(chunk)
        encoded += _encode_some_nodes(lower, some, origin)
    return encoded


def _encode_some_nodes(lower: LowerModel, chunks: Sequence[Tensor], origin: StateOrigin) -> list[NodeStates]:
    method = lower.method
    tokens = PastTokens(chunks, lower.device)
    per_chunk = [nodes_of(chunk, method) for chunk in chunks]
    encoded = encode_per_chunk(lower, tokens, per_chunk, origin)
    comparable = [[node for node in nodes if method.compares(node.level)] for nodes in per_chunk]
    flat = [node._replace(chunk=i) for i, nodes in enumerate(comparable) for node in nodes]
    vectors_VE = comparable_vectors(lower, tokens, flat)
    rows = vectors_VE.split([len(nodes) for nodes in comparable])
    return [
        replace(entry, vector_nodes=tuple(nodes), vectors=of_chunk.clone())
        for entry, nodes, of_chunk in zip(encoded, comparable, rows, strict=True)
    ]


def encode_per_chunk(
    lower: LowerModel, tokens: PastTokens, per_chunk: Sequence[Sequence[Node]], origin: StateOrigin
) -> list[NodeStates]:
    """The states of some nodes of each chunk, in one run of the lower model; without selection vectors."""
    flat = [node._replace(chunk=i) for i, nodes in enumerate(per_chunk) for node in nodes]
    counts = [num_states(node.length, node.level, lower.method) for node in flat]
    keys, values = encode_in_place(lower, tokens, flat, counts, origin)
    none = comparable_vectors(lower, tokens, [])
    encoded: list[NodeStates] = []
    node_at, state_at = 0, 0
    for nodes in per_chunk:
        own_counts = tuple(counts[node_at : node_at + len(nodes)])
        own = slice(state_at, state_at + sum(own_counts))
        encoded.append(
            NodeStates(
                token_ids=tokens.chunks[len(encoded)].to("cpu", torch.int32),
                nodes=tuple(nodes),
                states_per_node=own_counts,
                keys=torch.stack([key_KSD[:, own].to(lower.device) for key_KSD in keys]),
                values=torch.stack([value_KSD[:, own].to(lower.device) for value_KSD in values]),
                vector_nodes=(),
                vectors=none,
                origin=origin,
            )
        )
        node_at, state_at = node_at + len(nodes), own.stop
    return encoded


def comparable_vectors(lower: LowerModel, tokens: PastTokens, nodes: list[Node]) -> Tensor:
    """Selection vectors [len(nodes), E] of nodes; there may be none."""
    if not nodes:
        return lower.backbone.norm.weight.new_empty(0, lower.backbone.config.hidden_size, device=lower.device)
    return lower.selection_vectors(tokens, nodes)

"""From chunks of token ids to a `PastContext`, or to the `NodeStates` that a cache keeps.

Two ways lead to the same past context. `encode_past_context` selects first and encodes only what it retains: the
shortest way to a first answer. `encode_nodes` encodes every node once; `select_nodes` then picks the retained ones for
each question without running the lower model again.
"""

from collections.abc import Sequence
from random import gauss

import torch
from torch import Tensor

from .config import SharedLLMConfig
from .context_tree import Node, all_nodes, retained_nodes, whole_chunk
from .downsampling import num_states
from .lower_model import LowerModel, PastTokens
from .node_states import NodeStates, StateOrigin
from .past_context import PastContext, state_positions
from .rotary import angles, rotate
from .selection import load_policy

__all__ = ["encode_nodes", "encode_past_context", "needs_query", "query_vector", "select_nodes"]

# Suffixes: M injection layers, N nodes of a batch, K key/value heads, S states, D head size, E hidden size.


def needs_query(method: SharedLLMConfig) -> bool:
    """Whether the selection policy looks at the query."""
    return load_policy(method.policy).needs_query


def query_vector(lower: LowerModel, query_ids: Tensor) -> Tensor:
    """v(query) [E], for policies that compare with the query."""
    tokens = PastTokens([query_ids], lower.device)
    return lower.selection_vectors(tokens, [whole_chunk(0, len(query_ids))])[0]


def encode_past_context(
    lower: LowerModel, chunks: Sequence[Tensor], query_E: Tensor | None, positions: tuple[int, ...], noisy: bool
) -> PastContext:
    """Select, then run the lower model on the retained nodes alone. Arguments are checked; no chunk is empty."""
    method = lower.method
    tokens = PastTokens(chunks, lower.device)
    policy = load_policy(method.policy)
    per_chunk = retained_nodes(
        [whole_chunk(i, length) for i, length in enumerate(tokens.lengths)],
        method.tree_depth,
        lambda pairs: policy.selects_right(pairs, lambda nodes: lower.selection_vectors(tokens, nodes), query_E),
        noise=(lambda: gauss(0.0, method.split_noise_tokens)) if noisy else None,
    )
    nodes = [node for of_chunk in per_chunk for node in of_chunk]
    counts = [num_states(node.length, node.level, method) for node in nodes]
    origin = lower.origin()
    keys, values = _encode_in_place(lower, tokens, nodes, counts, state_positions(nodes, counts, positions, origin))
    return PastContext(tuple(nodes), tuple(counts), positions, tuple(keys), tuple(values), origin)


def _encode_in_place(
    lower: LowerModel, tokens: PastTokens, nodes: list[Node], counts: list[int], position_S: Tensor | None
) -> tuple[list[Tensor], list[Tensor]]:
    """States of `nodes` in their order, per layer keys and values [K, S, D]; keys rotated when positions are given.

    Each batch is written where it belongs as soon as it is there, so that nothing is held twice.
    """
    starts = torch.tensor(counts).cumsum(0) - torch.tensor(counts)
    keys: list[Tensor] = []
    values: list[Tensor] = []
    for indices, batch in lower.states(tokens, nodes):
        slots = (starts[indices][:, None] + torch.arange(counts[indices[0]])).flatten()
        rotation = None if position_S is None else angles(position_S[slots], lower.inv_freq)
        for layer, (key_NKSD, value_NKSD) in enumerate(zip(batch.keys, batch.values, strict=True)):
            key_KSD, value_KSD = (states.transpose(0, 1).flatten(1, 2) for states in (key_NKSD, value_NKSD))
            device = key_KSD.device
            if rotation is not None:
                key_KSD = rotate(key_KSD, rotation[0].to(device), rotation[1].to(device))
            if layer == len(keys):
                shape = (len(key_KSD), sum(counts), key_KSD.shape[-1])
                keys.append(key_KSD.new_empty(shape))
                values.append(key_KSD.new_empty(shape))
            keys[layer].index_copy_(1, slots.to(device), key_KSD)
            values[layer].index_copy_(1, slots.to(device), value_KSD)
    return keys, values


def encode_nodes(lower: LowerModel, chunks: Sequence[Tensor]) -> list[NodeStates]:
    """Every node of every chunk. Chunks are taken a few at a time, as many as fill a batch of the lower model."""
    origin = lower.origin()
    encoded: list[NodeStates] = []
    while len(encoded) < len(chunks):
        first = len(encoded)
        size = max(1, lower.batch_tokens // lower.method.chunk_tokens)
        encoded += _encode_some_nodes(lower, chunks[first : first + size], origin)
    return encoded


def _encode_some_nodes(lower: LowerModel, chunks: Sequence[Tensor], origin: StateOrigin) -> list[NodeStates]:
    method = lower.method
    tokens = PastTokens(chunks, lower.device)
    per_chunk = [all_nodes(whole_chunk(i, length), method.tree_depth) for i, length in enumerate(tokens.lengths)]
    comparable = [[node for node in nodes if 0 < node.level < method.tree_depth] for nodes in per_chunk]
    flat = [node for nodes in per_chunk for node in nodes]
    counts = [num_states(node.length, node.level, method) for node in flat]
    keys, values = _encode_in_place(lower, tokens, flat, counts, None)
    vectors_VE = _comparable_vectors(lower, tokens, [node for nodes in comparable for node in nodes])
    encoded, node_at, state_at, vector_at = [], 0, 0, 0
    for nodes, compared in zip(per_chunk, comparable, strict=True):
        own_counts = tuple(counts[node_at : node_at + len(nodes)])
        own = slice(state_at, state_at + sum(own_counts))
        encoded.append(
            NodeStates(
                nodes=tuple(node._replace(chunk=0) for node in nodes),
                states_per_node=own_counts,
                keys=torch.stack([key_KSD[:, own].to(lower.device) for key_KSD in keys]),
                values=torch.stack([value_KSD[:, own].to(lower.device) for value_KSD in values]),
                vector_nodes=tuple(node._replace(chunk=0) for node in compared),
                vectors=vectors_VE[vector_at : vector_at + len(compared)].clone(),
                origin=origin,
            )
        )
        node_at, state_at, vector_at = node_at + len(nodes), own.stop, vector_at + len(compared)
    return encoded


def _comparable_vectors(lower: LowerModel, tokens: PastTokens, nodes: list[Node]) -> Tensor:
    if not nodes:
        return lower.backbone.norm.weight.new_empty(0, lower.backbone.config.hidden_size, device=lower.device)
    return lower.selection_vectors(tokens, nodes)


def select_nodes(lower: LowerModel, states: Sequence[NodeStates], query_E: Tensor | None) -> list[NodeStates]:
    """The retained nodes of chunks whose nodes are all encoded; the lower model does not run."""
    policy = load_policy(lower.method.policy)
    chunks = [whole_chunk(i, max(node.end for node in entry.nodes)) for i, entry in enumerate(states)]

    def vectors(nodes: Sequence[Node]) -> Tensor:
        return torch.stack([states[node.chunk].vectors_of([node._replace(chunk=0)])[0] for node in nodes])

    per_chunk = retained_nodes(
        chunks, lower.method.tree_depth, lambda pairs: policy.selects_right(pairs, vectors, query_E)
    )
    return [
        entry.keep([node._replace(chunk=0) for node in nodes]) for entry, nodes in zip(states, per_chunk, strict=True)
    ]

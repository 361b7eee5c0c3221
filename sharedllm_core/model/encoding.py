"""The pipeline steps that run the lower model: read the query, select by vectors, encode states.

Inference, training and the engine share one pipeline, *select → fetch → encode → assemble*:

- select: `select` here, which hands selection vectors to `selection.choice`;
- fetch: look up trees in the tree cache (`engine/reading.py`); a model alone and training skip this step;
- encode: `encode` for the nodes that a question retains, `encode_missing` for those that were not fetched,
  `encode_nodes` for every node of every chunk;
- assemble: `PastContext.from_nodes`, or `RetainedStates` where states arrive chunk by chunk.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, PastContextError, setting
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node, num_states, whole_chunk
from ..selection.choice import nodes_of, select_for_rows
from ..selection.policy import Query, load_policy
from .lower_model import LowerModel, PastTokens
from .node_states import NodeStates
from .node_vectors import NodeVectors
from .tree_head import TreeHead

__all__ = [
    "encode",
    "encode_missing",
    "encode_nodes",
    "is_complete",
    "needs_query",
    "read_query",
    "select",
    "select_from",
]

# Suffixes: K key/value heads, S states, D head size, E hidden size.


def needs_query(method: SharedLLMConfig) -> bool:
    """Whether the selection policy uses the query."""
    return load_policy(method.policy).needs_query


@torch.no_grad()
def read_query(
    lower: LowerModel,
    query_ids: Tensor | None,
    chunks: Sequence[Tensor],
    relevance: Sequence[np.ndarray] | None = None,
) -> Query | None:
    """Compute the query's features for the selection policy; `None` if the policy needs no query.

    Args:
        lower: the lower model.
        query_ids: ids of the question [l].
        chunks: ids of all chunks of the past context.
        relevance: for each chunk the score [l] of each token by the text search, for a policy that searches text.

    Raises:
        InputError: the policy searches text, and `relevance` is missing.
    """
    policy = load_policy(lower.method.policy)
    if not policy.needs_query:
        return None
    assert query_ids is not None, "the model checks that there is a query"
    if policy.searches_text and relevance is None:
        raise InputError(
            f"{setting('policy', lower.method.policy)} searches the text of documents",
            limit="and only token ids are given",
            remedy=["answer with SharedLLMEngine", f"use {setting('policy', 'two_looks')}"],
        )
    vector_E = None
    if policy.pooling is not None:
        vector_E = lower.selection_vectors(PastTokens([query_ids], lower.device), [[whole_chunk(len(query_ids))]])[0]
    return Query(vector_E, policy.weights(query_ids, chunks), relevance or ())


@torch.no_grad()  # selection is discrete
def select(
    lower: LowerModel,
    chunks: Sequence[Tensor],
    queries: Sequence[Query | None],
    *,
    vectors: NodeVectors | None = None,
    noisy: bool = False,
) -> list[list[Node]]:
    """Select the nodes to retain of each chunk.

    Args:
        lower: the lower model.
        chunks: ids of each, none empty.
        queries: the query of each chunk, see `select_for_rows`.
        vectors: known selection vectors; computed ones are added to it.
        noisy: draw split points around the middle, as in training.
    """
    method = lower.method
    noise = (lambda: method.split_noise_tokens * float(torch.randn(()))) if noisy else None
    return select_for_rows(method, chunks, queries, vectors or NodeVectors(lower, chunks), noise)


def select_from(lower: LowerModel, states: Sequence[NodeStates], query_ids: Tensor | None) -> list[NodeStates]:
    """Select from entries with all nodes; the lower model runs only on the query.

    Raises:
        PastContextError: states or selection vectors of another model, or a selected node that its entry lacks.
    """
    _check_origin(lower, states)
    chunks = [entry.token_ids for entry in states]
    query = read_query(lower, query_ids, chunks)
    nodes = select(lower, chunks, [query] * len(chunks), vectors=NodeVectors(lower, chunks, states))
    return [entry.keep(retained) for entry, retained in zip(states, nodes, strict=True)]


def _check_origin(lower: LowerModel, states: Sequence[NodeStates]) -> None:
    own, policy = lower.origin(), lower.method.policy
    for number, entry in enumerate(states):
        if (number == 0 or entry.origin is not states[0].origin) and (why := entry.origin.differs_from(own)):
            raise PastContextError(
                f"the states of chunk {number} were made by another model: {why}", remedy="encode them with this model"
            )
        theirs = entry.origin.method.policy
        if policy != theirs and load_policy(theirs).pooling not in {None, lower.pooling}:
            raise PastContextError(
                f"the selection vectors of chunk {number} were made for policy={theirs!r}",
                limit=f"and policy={policy!r} compares others",
                remedy="encode the chunk with this model",
            )


def encode(lower: LowerModel, chunks: Sequence[Tensor], nodes: Sequence[Sequence[Node]]) -> list[NodeStates]:
    """Encode some nodes of each chunk in shared batches; gradients flow to weights that require them.

    Args:
        lower: the lower model.
        chunks: ids of each.
        nodes: of each chunk; may be empty.

    Returns:
        One entry per chunk, without selection vectors.
    """
    counts = [[num_states(node.length, node.level, lower.method) for node in of_chunk] for of_chunk in nodes]
    keys, values = _states_in_order(lower, chunks, nodes, [count for of_chunk in counts for count in of_chunk])
    origin = lower.origin()
    no_vectors = lower.backbone.norm.weight.new_empty(0, lower.backbone.config.hidden_size, device=lower.device)
    ends = list(accumulate(sum(of_chunk) for of_chunk in counts))
    entries: list[NodeStates] = []
    for ids, of_chunk, own_counts, end in zip(chunks, nodes, counts, ends, strict=True):
        own = slice(end - sum(own_counts), end)
        entries.append(
            NodeStates(
                token_ids=ids.to("cpu", torch.int32),
                nodes=tuple(of_chunk),
                states_per_node=tuple(own_counts),
                keys=torch.stack([key_KSD[:, own].to(lower.device) for key_KSD in keys]),
                values=torch.stack([value_KSD[:, own].to(lower.device) for value_KSD in values]),
                vector_nodes=(),
                vectors=no_vectors,
                origin=origin,
            )
        )
    return entries


def encode_missing(
    lower: LowerModel, chunks: Sequence[Tensor], known: Sequence[NodeStates | None], nodes: Sequence[Sequence[Node]]
) -> list[NodeStates]:
    """Encode only the nodes missing from `known`.

    Args:
        lower: the lower model.
        chunks: ids of each.
        known: the fetched entry of each chunk, or `None`.
        nodes: the nodes needed of each chunk.

    Returns:
        One entry per chunk with fetched and encoded nodes; the same object as in `known` if nothing was missing.
    """
    missing = [
        list(of_chunk) if entry is None else [node for node in of_chunk if not entry.has([node])]
        for entry, of_chunk in zip(known, nodes, strict=True)
    ]
    if not any(missing):
        return [entry for entry in known if entry is not None]
    encoded = encode(lower, chunks, missing)
    return [
        new if entry is None else _to_device(entry, lower.device).joined(new) if new.nodes else entry
        for entry, new in zip(known, encoded, strict=True)
    ]


def encode_nodes(lower: LowerModel, chunks: Sequence[Tensor]) -> list[NodeStates]:
    """Encode every node of every chunk with its selection vectors, in batches of `batch_tokens`."""
    encoded: list[NodeStates] = []
    while len(encoded) < len(chunks):
        some: list[Tensor] = []
        tokens = 0
        for chunk in chunks[len(encoded) :]:
            tokens += len(chunk)
            if some and tokens > lower.batch_tokens:
                break
            some.append(chunk)
        nodes = [nodes_of(chunk, lower.method) for chunk in some]
        vectors = NodeVectors(lower, some)
        vectors.compute(
            {n: [node for node in of_chunk if lower.method.compares(node.level)] for n, of_chunk in enumerate(nodes)}
        )
        encoded += [entry.with_vectors(vectors.of_chunk(n)) for n, entry in enumerate(encode(lower, some, nodes))]
    return encoded


def is_complete(states: NodeStates | TreeHead, method: SharedLLMConfig) -> bool:
    """Whether a tree has every node that a question may retain, and the vectors that the policy compares."""
    nodes = nodes_of(states.token_ids, method)
    return states.has(nodes) and len(states.vector_nodes) >= sum(method.compares(node.level) for node in nodes)


def _states_in_order(
    lower: LowerModel, chunks: Sequence[Tensor], nodes: Sequence[Sequence[Node]], counts: Sequence[int]
) -> tuple[list[Tensor], list[Tensor]]:
    """Compute keys (before RoPE) and values of nodes in their order, per layer [K, S, D].

    `counts` are the states of each node. Each batch is written into the result as soon as it is computed.
    """
    starts = [0, *accumulate(counts)]
    keys: list[Tensor] = []
    values: list[Tensor] = []
    for indices, batch in lower.states(PastTokens(chunks, lower.device), nodes):
        slots = torch.cat([torch.arange(starts[i], starts[i] + counts[i]) for i in indices])
        for layer, (key_KSD, value_KSD) in enumerate(zip(batch.keys, batch.values, strict=True)):
            if layer == len(keys):
                shape = (len(value_KSD), starts[-1], value_KSD.shape[-1])
                keys.append(value_KSD.new_empty(shape))
                values.append(value_KSD.new_empty(shape))
            at = slots.to(value_KSD.device)
            # Under autocast a key norm gives keys another dtype than values have.
            keys[layer].index_copy_(1, at, key_KSD.to(value_KSD.dtype))
            values[layer].index_copy_(1, at, value_KSD)
    return keys, values


def _to_device(states: NodeStates, device: torch.device) -> NodeStates:
    return states if states.keys.device == device else states.to(device)

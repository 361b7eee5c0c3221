"""Which nodes a query retains, of chunks whose states are known in full, in part, or not at all."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor

from ..errors import PastContextError
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node
from ..selection.choice import choose, nodes_of
from ..selection.policy import Query, load_policy
from .encoding import encode_per_chunk, read_query
from .lower_model import LowerModel, PastTokens
from .node_states import NodeStates

__all__ = ["choose_nodes", "encode_retained", "is_complete", "select_nodes"]

# Suffixes: E hidden size.


def encode_retained(
    lower: LowerModel,
    chunks: Sequence[Tensor],
    known: Sequence[NodeStates | None],
    query: Query | None,
    chosen: Sequence[Sequence[Node]] | None = None,
) -> tuple[list[NodeStates], list[list[Node]]]:
    """What a query retains of each chunk, of which some nodes may be known already; only what lacks is encoded.

    Args:
        lower: the lower model.
        chunks: ids of each.
        known: what is known of each.
        query: see `read_query`.
        chosen: the nodes that the query retains of each, where that is known. It must be where these chunks share a
            budget with others.

    Returns:
        For each chunk what was known and what was encoded (the very entry that was known, where nothing was), and the
        nodes that the query retains.
    """
    method = lower.method
    tokens = PastTokens(chunks, lower.device)
    here = [None if entry is None else _on(entry, lower.device) for entry in known]  # a cache's are on the CPU
    vectors: list[dict[Node, Tensor]] = [
        {} if entry is None else dict(zip(entry.vector_nodes, entry.vectors, strict=True)) for entry in here
    ]

    def vectors_of(nodes: Sequence[Node]) -> Tensor:
        if new := [node for node in nodes if _alone(node) not in vectors[node.chunk]]:
            for node, vector_E in zip(new, lower.selection_vectors(tokens, new), strict=True):
                vectors[node.chunk][_alone(node)] = vector_E
        return torch.stack([vectors[node.chunk][_alone(node)] for node in nodes])

    # Trees that were read for a policy without vectors get all of them at once, and are complete again.
    wholes = [nodes_of(chunk, method) if entry else [] for chunk, entry in zip(chunks, known, strict=True)]
    bare = [i for i, entry in enumerate(known) if entry and entry.has(wholes[i]) and not is_complete(entry, method)]
    if lacking := [n._replace(chunk=i) for i in bare for n in wholes[i] if method.compares(n.level)]:
        vectors_of(lacking)

    retained = choose(method, chunks, vectors_of, query) if chosen is None else chosen
    per_chunk = [[_alone(node) for node in nodes] for nodes in retained]
    shares_a_run = method.node_encoding == "shared"  # where all nodes cost no more than the retained ones
    wanted = [nodes_of(chunk, method) for chunk in chunks] if shares_a_run else per_chunk
    new_nodes = [
        [node for node in nodes if entry is None or not entry.has([node])]
        for entry, nodes in zip(known, wanted, strict=True)
    ]
    encoded = encode_per_chunk(lower, tokens, new_nodes, lower.origin()) if any(new_nodes) else []
    states: list[NodeStates] = []
    for i, entry in enumerate(known):
        whole = encoded[i] if entry is None else entry
        if (before := here[i]) is not None and new_nodes[i]:
            whole = before.joined(encoded[i])
        states.append(_with_vectors(whole, vectors[i]))
    return states, per_chunk


def _with_vectors(states: NodeStates, vectors: dict[Node, Tensor]) -> NodeStates:
    """The states with the selection vectors that are known now; the very same where there are no more than before."""
    if len(vectors) <= len(states.vector_nodes):
        return states
    return replace(states, vector_nodes=tuple(vectors), vectors=torch.stack(list(vectors.values())))


def choose_nodes(lower: LowerModel, states: Sequence[NodeStates], query: Query | None) -> list[list[Node]]:
    """The retained nodes of chunks whose nodes are all encoded; the lower model does not run."""

    def vectors(nodes: Sequence[Node]) -> Tensor:
        # The nodes of a chunk stand together.
        groups = [(chunk, list(of)) for chunk, of in groupby(nodes, key=lambda node: node.chunk)]
        return torch.cat([states[chunk].vectors_of([_alone(n) for n in of]) for chunk, of in groups])

    per_chunk = choose(lower.method, [entry.token_ids for entry in states], vectors, query)
    return [[_alone(node) for node in nodes] for nodes in per_chunk]


def select_nodes(lower: LowerModel, states: Sequence[NodeStates], query_ids: Tensor | None) -> list[NodeStates]:
    """Of chunks whose nodes are all encoded, the ones that a query retains."""
    own = lower.origin()
    for number, entry in enumerate(states):
        if (number == 0 or entry.origin is not states[0].origin) and (why := entry.origin.differs_from(own)):
            raise PastContextError(
                f"the states of chunk {number} were made by another model: {why}; encode them with this model"
            )
        theirs = load_policy(entry.origin.method.policy).pooling
        if lower.method.policy != entry.origin.method.policy and theirs not in {None, lower.pooling}:
            raise PastContextError(
                f"the selection vectors of chunk {number} were made for policy={entry.origin.method.policy!r}, and "
                f"policy={lower.method.policy!r} compares others; encode the chunk with this model"
            )
    query = read_query(lower, query_ids, [entry.token_ids for entry in states])
    chosen = choose_nodes(lower, states, query)
    return [entry.keep(nodes) for entry, nodes in zip(states, chosen, strict=True)]


def _on(states: NodeStates, device: torch.device) -> NodeStates:
    return states if states.keys.device == device else states.to(device)


def is_complete(states: NodeStates, method: SharedLLMConfig) -> bool:
    """Whether every node that some query retains is there, with what the policy needs to choose."""
    nodes = nodes_of(states.token_ids, method)
    return states.has(nodes) and len(states.vector_nodes) >= sum(method.compares(node.level) for node in nodes)


def _alone(node: Node) -> Node:
    """`node` as states name it, which know only their own chunk."""
    return node._replace(chunk=0)

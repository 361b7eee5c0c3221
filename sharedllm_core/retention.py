"""Which nodes a query retains, of chunks whose states are known in full, in part, or not at all."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

import torch
from torch import Tensor

from .config import SharedLLMConfig
from .context_tree import Node, all_nodes, retained_nodes, whole_chunk
from .errors import PastContextError
from .lower_model import LowerModel, PastTokens
from .node_states import NodeStates
from .past_encoding import encode_per_chunk, read_query
from .selection import Halves, Query, load_policy

__all__ = ["choose_nodes", "encode_retained", "is_complete", "select_nodes"]

# Suffixes: E hidden size.


def encode_retained(
    lower: LowerModel, chunks: Sequence[Tensor], known: Sequence[NodeStates | None], query: Query | None
) -> tuple[list[NodeStates], list[list[Node]]]:
    """What a query retains of each chunk, of which some nodes may be known already; only what lacks is encoded.

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
    bare = [
        i for i, entry in enumerate(known) if entry and _has_all_nodes(entry, method) and not is_complete(entry, method)
    ]
    if lacking := [n for i in bare for n in all_nodes(whole_chunk(i, len(chunks[i])), method.tree_depth)]:
        vectors_of([node for node in lacking if 0 < node.level < method.tree_depth])

    policy = load_policy(method.policy)
    halves = Halves(vectors_of, chunks.__getitem__)
    roots = [whole_chunk(i, length) for i, length in enumerate(tokens.lengths)]
    retained = retained_nodes(roots, method.tree_depth, lambda pairs: policy.selects_right(pairs, halves, query))
    per_chunk = [[_alone(node) for node in nodes] for nodes in retained]
    new_nodes = [
        [node for node in nodes if entry is None or not entry.has([node])]
        for entry, nodes in zip(known, per_chunk, strict=True)
    ]
    encoded = encode_per_chunk(lower, tokens, new_nodes, lower.origin()) if any(new_nodes) else []
    states: list[NodeStates] = []
    for i, entry in enumerate(known):
        whole = encoded[i] if entry is None else entry
        if (before := here[i]) is not None and new_nodes[i]:
            whole = before.joined(encoded[i])
        if len(vectors[i]) > len(whole.vector_nodes):
            whole = replace(whole, vector_nodes=tuple(vectors[i]), vectors=torch.stack(list(vectors[i].values())))
        states.append(whole)
    return states, per_chunk


def choose_nodes(lower: LowerModel, states: Sequence[NodeStates], query: Query | None) -> list[list[Node]]:
    """The retained nodes of chunks whose nodes are all encoded; the lower model does not run."""
    policy = load_policy(lower.method.policy)
    chunks = [whole_chunk(i, max(node.end for node in entry.nodes)) for i, entry in enumerate(states)]

    def vectors(nodes: Sequence[Node]) -> Tensor:
        # The nodes of a chunk stand together.
        groups = [(chunk, list(of)) for chunk, of in groupby(nodes, key=lambda node: node.chunk)]
        return torch.cat([states[chunk].vectors_of([_alone(n) for n in of]) for chunk, of in groups])

    halves = Halves(vectors, lambda chunk: states[chunk].token_ids)
    per_chunk = retained_nodes(
        chunks, lower.method.tree_depth, lambda pairs: policy.selects_right(pairs, halves, query)
    )
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
    _, vectors = _num_nodes(states, method.tree_depth)
    return _has_all_nodes(states, method) and (len(states.vector_nodes) == vectors or not method.compares_vectors)


def _has_all_nodes(states: NodeStates, method: SharedLLMConfig) -> bool:
    return len(states.nodes) == _num_nodes(states, method.tree_depth)[0]


def _num_nodes(states: NodeStates, depth: int) -> tuple[int, int]:
    """Nodes of the whole tree of a chunk, and those of them that a policy may compare."""
    return _num_nodes_of_length(max(node.end for node in states.nodes), depth)


@lru_cache(maxsize=4096)
def _num_nodes_of_length(length: int, depth: int) -> tuple[int, int]:
    nodes = all_nodes(whole_chunk(0, length), depth)
    return len(nodes), sum(0 < node.level < depth for node in nodes)


def _alone(node: Node) -> Node:
    """`node` as states name it, which know only their own chunk."""
    return node._replace(chunk=0)

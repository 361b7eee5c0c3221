"""Entries of a tree cache, made of random numbers: no model is needed to keep bytes."""

import hashlib

import torch

from sharedllm_core import NodeStates, SharedLLMConfig
from sharedllm_core.method.context_tree import all_nodes, num_states, whole_chunk
from sharedllm_core.model.node_states import StateOrigin
from sharedllm_core.tree_cache import codec

METHOD = SharedLLMConfig(injection_layers=2, chunk_tokens=64)
ORIGIN = StateOrigin(METHOD, torch.ones(4), 1.0, torch.empty(0))


def key(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def states(seed=0, dtype=torch.float32, tokens=64):
    generator = torch.Generator().manual_seed(seed)
    nodes = all_nodes(whole_chunk(tokens), 3)
    counts = [num_states(node.length, node.level, METHOD) for node in nodes]
    keys, values = (torch.randn(2, 2, sum(counts), 8, generator=generator).to(dtype) for _ in range(2))
    compared = [node for node in nodes if 0 < node.level < 3]
    vectors = torch.randn(len(compared), 16, generator=generator).to(dtype)
    ids = torch.arange(tokens, dtype=torch.int32)
    return NodeStates(ids, tuple(nodes), tuple(counts), keys, values, tuple(compared), vectors, ORIGIN)


def blob(seed=0, name=None, **options):
    return codec.encode(states(seed, **options), key(seed) if name is None else name)


def assert_same(a, b):
    assert a.nodes == b.nodes
    assert a.states_per_node == b.states_per_node
    assert a.vector_nodes == b.vector_nodes
    for name in ("token_ids", "keys", "values", "vectors"):
        assert getattr(a, name).dtype == getattr(b, name).dtype
        assert torch.equal(getattr(a, name), getattr(b, name)), name

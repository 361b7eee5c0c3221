"""Encoding only what a question retains and is not known yet leads to the same past context as any other way."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core import PastContext
from sharedllm_core.method.config import known_policies
from sharedllm_core.model.encoding import encode_missing, encode_nodes, is_complete, read_query, select
from sharedllm_core.model.node_vectors import NodeVectors
from sharedllm_core.selection.choice import nodes_of
from sharedllm_core.selection.policy import load_policy
from tests import tiny

LENGTHS = st.lists(st.integers(1, 32), min_size=1, max_size=4)


POLICIES = [policy for policy in known_policies() if not load_policy(policy).searches_text]  # here is no text


@pytest.fixture(scope="module", params=[(policy, way) for policy in POLICIES for way in ("alone", "shared")])
def lower(bases, request):
    policy, node_encoding = request.param
    method = replace(tiny.with_policy(policy), node_encoding=node_encoding)
    return tiny.with_injection(bases("llama"), method).lower_model


def read(lower, chunks, known, query):
    """Select and encode what is missing, as an engine does in one turn."""
    vectors = NodeVectors(lower, chunks, known)
    nodes = select(lower, chunks, [query] * len(chunks), vectors=vectors)
    shared = lower.method.node_encoding == "shared"
    wanted = [nodes_of(chunk, lower.method) for chunk in chunks] if shared else nodes
    states = encode_missing(lower, chunks, known, wanted)
    return [entry.with_vectors(vectors.of_chunk(number)) for number, entry in enumerate(states)], nodes


def same(a, b):
    assert a.nodes == b.nodes
    assert a.states_per_node == b.states_per_node
    for ours, theirs in zip((*a.keys, *a.values), (*b.keys, *b.values), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@given(LENGTHS, st.integers(0, 99), st.integers(0, 99))
@torch.no_grad()
def test_every_way_to_a_past_context_is_the_same(lower, lengths, first, second):
    chunks = tiny.chunks(*lengths, seed=first)
    queries = [read_query(lower, tiny.ids(5, seed=seed), chunks) for seed in (1000 + first, 2000 + second)]
    whole = encode_nodes(lower, chunks)
    assert all(is_complete(entry, lower.method) for entry in whole)
    known = [None] * len(chunks)
    for query in [*queries, *queries]:
        states, nodes = read(lower, chunks, known, query)
        assert nodes == read(lower, chunks, whole, query)[1]
        same(PastContext.from_nodes(states, None, nodes), PastContext.from_nodes(whole, None, nodes))
        known = states
    again, _ = read(lower, chunks, known, queries[0])
    assert all(a is b for a, b in zip(again, known, strict=True))


@given(LENGTHS)
@torch.no_grad()
def test_what_is_complete_is_never_encoded_again(lower, lengths):
    chunks = tiny.chunks(*lengths)
    whole = encode_nodes(lower, chunks)
    states, _ = read(lower, chunks, whole, read_query(lower, tiny.ids(5), chunks))
    assert all(a is b for a, b in zip(states, whole, strict=True))


@torch.no_grad()
def test_a_part_is_not_taken_for_the_whole(lower):
    chunks = tiny.chunks(32, 20)
    query = read_query(lower, tiny.ids(5), chunks)
    states, nodes = read(lower, chunks, [None, None], query)
    # Where nodes share a run, a question leaves all of them behind; only vectors that nobody compared may lack.
    reads_all = lower.method.node_encoding == "shared"
    for chunk, entry, of in zip(chunks, states, nodes, strict=True):
        assert is_complete(entry, lower.method) is (reads_all and not lower.method.compares_vectors)
        assert entry.has(of)
        assert entry.has(nodes_of(chunk, lower.method)) is reads_all

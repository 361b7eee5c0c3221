"""Nodes that share a run: all of a chunk's tree from one pass of the lower model over the chunk."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core import ConfigError, PastContextError, SharedLLMConfig
from sharedllm_core.method.context_tree import kept_tokens, whole_chunk
from sharedllm_core.model.lower_model import PastTokens
from sharedllm_core.planning.trees import count_all, count_retained
from tests import tiny

SHARED = replace(tiny.METHOD, node_encoding="shared")
LENGTHS = st.lists(st.integers(1, 32), min_size=1, max_size=4)


@torch.no_grad()
def all_tokens(model, ids):
    """Keys and values of every token of a text, per layer, from a tree that is one node with a state per token."""
    [(_, states)] = model.lower_model.states(PastTokens([ids], torch.device("cpu")), [[whole_chunk(len(ids))]])
    return states


@pytest.fixture(scope="module", params=[(n, a) for n in ("llama", "mistral", "qwen3") for a in ("causal", "full")])
def models(bases, request):
    """A model whose nodes share a run, and one of the same weights that keeps the state of every token."""
    name, lower_attention = request.param
    method = replace(SHARED, lower_attention=lower_attention)
    every = replace(method, tree_depth=0, finest_compression_ratio=1, node_encoding="alone")
    return tiny.untrained(bases(name), method), tiny.untrained(bases(name), every)


@given(LENGTHS, st.integers(0, 99), st.sampled_from([1, 40, 10_000]))
def test_the_states_of_every_node_are_those_of_one_run_of_its_chunk(models, lengths, seed, budget):
    model, of_every_token = models
    model.lower_model.batch_tokens = budget
    chunks = tiny.chunks(*lengths, seed=seed)
    for chunk, entry in zip(chunks, model.encode_nodes(chunks), strict=True):
        every = all_tokens(of_every_token, chunk)
        places = [
            node.start + at
            for node, count in zip(entry.nodes, entry.states_per_node, strict=True)
            for at in kept_tokens(node.length, count, model.method.sample_at)
        ]
        for layer in range(model.method.injection_layers):
            torch.testing.assert_close(entry.keys[layer], every.keys[layer][:, places], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(entry.values[layer], every.values[layer][:, places], atol=1e-5, rtol=1e-5)


def test_nodes_that_begin_a_chunk_are_as_if_alone_and_others_are_not(bases):
    """Causal states know what stands before them, and before these there is nothing."""
    chunk = tiny.ids(32)
    [alone], [shared] = (tiny.untrained(bases("llama"), m).encode_nodes([chunk]) for m in (tiny.METHOD, SHARED))
    assert alone.nodes == shared.nodes
    for node in alone.nodes:
        index = alone.states_of([node])
        same = torch.allclose(alone.keys[-1][:, index], shared.keys[-1][:, index], atol=1e-5)
        assert same is (node.start == 0)


@pytest.mark.parametrize("node_encoding", ["shared", "alone"])
def test_the_lower_model_reads_each_chunk_once_and_not_once_for_each_level(bases, node_encoding):
    method = replace(tiny.with_policy("lexical"), node_encoding=node_encoding)  # no selection vectors
    model = tiny.untrained(bases("llama"), method)
    read = []
    model.model.embed_tokens.register_forward_pre_hook(lambda _, ids: read.append(ids[0].numel()))
    model.encode_nodes(tiny.chunks(32, 32, 32))
    assert sum(read) == 3 * 32 * (1 if node_encoding == "shared" else method.tree_depth)


@pytest.mark.parametrize("lengths", [(32, 32), (32, 13)])
def test_planning_counts_one_run_of_each_chunk_and_the_same_states(lengths):
    for count in (count_all, count_retained):
        alone, shared = (count(sum(lengths), method) for method in (tiny.METHOD, SHARED))
        assert shared.num_states == alone.num_states
        assert shared.num_tokens == sum(lengths)
        assert shared.num_nodes == len(lengths)


def test_states_of_one_sort_are_refused_by_a_model_of_the_other(bases):
    alone, shared = (tiny.untrained(bases("llama"), method) for method in (tiny.METHOD, SHARED))
    past = alone.encode_past_context(tiny.chunks(32), tiny.ids(5))
    with pytest.raises(PastContextError, match="node_encoding='alone' and the model node_encoding='shared'"):
        shared(tiny.ids(5)[None], past_context=past)


def test_places_in_nodes_cannot_be_kept_where_nodes_share_a_run():
    with pytest.raises(ConfigError, match="use key_positions='chunk'"):
        SharedLLMConfig(injection_layers=2, node_encoding="shared", key_positions="local_plus_chunk")

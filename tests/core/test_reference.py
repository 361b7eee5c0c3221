"""The library computes what a second, plain implementation of the paper computes, for any numbers of the method."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_core import SharedLLMConfig
from tests import tiny
from tests.core.reference import Reference


@st.composite
def methods(draw):
    depth = draw(st.integers(0, 4))
    return SharedLLMConfig(
        injection_layers=draw(st.integers(1, 4)),
        chunk_tokens=32,
        tree_depth=depth,
        compression_ratio=draw(st.sampled_from([4, 6.5, 8, 16])),
        policy=draw(st.sampled_from(["right", "similarity"])),
        sample_at=draw(st.sampled_from(["interval_end", "interval_start"])),
        key_positions=draw(st.sampled_from(["chunk", "local_plus_chunk"])),
        query_position_offset=draw(st.integers(0, 1)),
    )


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(methods(), st.lists(st.integers(1, 32), min_size=1, max_size=4), st.integers(1, 12), st.integers(0, 99))
@torch.no_grad()
def test_nodes_states_and_logits_equal_the_plain_implementation(bases, method, lengths, prompt_tokens, seed):
    model = tiny.with_injection(bases("llama"), method, seed=seed, dtype=torch.float64)
    plain = Reference(
        model.state_dict(),
        heads=4,
        kv=2,
        layers=4,
        m=method.injection_layers,
        theta=10000.0,
        eps=1e-6,
        height=method.tree_depth,
        ratio=method.compression_ratio,
        policy=method.policy,
        sample_at=method.sample_at,
        key_positions=method.key_positions,
        offset=method.query_position_offset,
    )
    chunks, prompt = tiny.chunks(*lengths, seed=seed), tiny.ids(prompt_tokens, seed=seed + 1)
    expected, rows = plain.past(chunks, prompt)
    past = model.encode_past_context(chunks, prompt)
    assert tiny.rows(past) == rows
    for layer, (keys, values, _) in enumerate(expected):
        torch.testing.assert_close(past.keys[layer].transpose(0, 1), keys, atol=5e-5, rtol=0)
        torch.testing.assert_close(past.values[layer].transpose(0, 1), values, atol=5e-5, rtol=0)
    logits = model(prompt[None], past_context=past).logits[0]
    assert tiny.relative(logits, plain.logits(prompt, expected)) < 1e-5


def test_the_plain_implementation_would_notice_a_wrong_chunk_position(bases):
    model = tiny.with_injection(bases("llama"), dtype=torch.float64)
    chunks, prompt = tiny.chunks(32, 32), tiny.ids(6)
    right = model.encode_past_context(chunks, prompt)
    wrong = model.encode_past_context(chunks, prompt, chunk_positions=[0, 2])
    logits = [model(prompt[None], past_context=past).logits for past in (right, wrong)]
    assert tiny.relative(*logits) > 1e-4


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
@torch.no_grad()
def test_selecting_among_encoded_nodes_equals_encoding_the_selected_ones(bases, kind):
    model = tiny.with_injection(bases(kind))
    chunks, question = tiny.chunks(32, 32, 19, 5, 1), tiny.ids(7)
    direct = model.encode_past_context(chunks, question, chunk_positions=[0, 1, 1, 4, 9])
    selected = model.select_nodes(model.encode_nodes(chunks), question)
    joined = type(direct).from_nodes(selected, [0, 1, 1, 4, 9])
    assert joined.nodes == direct.nodes
    assert joined.states_per_node == direct.states_per_node
    for a, b in zip(joined.keys + joined.values, direct.keys + direct.values, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)

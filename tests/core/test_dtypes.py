"""float32, bfloat16 and float16."""

import copy

import pytest
import torch

from sharedllm_core import PastContext
from tests import tiny

TEXT = tiny.ids(20, seed=5)[None]


def same_weights(folder, policy, scale, dtype=torch.bfloat16):
    """A model in float32 and one in `dtype`. Large weights make any network amplify its roundings."""
    wide, half = (tiny.with_injection(folder, tiny.with_policy(policy), dtype=kind) for kind in (torch.float32, dtype))
    tiny.randomise(wide, scale)
    half.load_state_dict(wide.state_dict())
    return wide, half


def past_contexts(wide, half):
    """Of the same text with the same retained nodes."""
    chunks, question = tiny.chunks(*[32] * 5, 13), tiny.ids(6)
    exact = wide.encode_past_context(chunks, question)
    states = [entry.keep(nodes) for entry, nodes in zip(half.encode_nodes(chunks), exact.nodes, strict=True)]
    return exact, PastContext.from_nodes(states)


@pytest.mark.parametrize("name", tiny.BASES)
@pytest.mark.parametrize("policy", ["right", "similarity"])
@torch.no_grad()
def test_bfloat16_stays_close_to_float32(bases, name, policy):
    models = same_weights(bases(name), policy, scale=0.1)
    pasts = past_contexts(*models)
    exact, rounded = (model(TEXT, past_context=past).logits for model, past in zip(models, pasts, strict=True))
    assert rounded.dtype == torch.bfloat16
    assert tiny.relative(rounded, exact) < 3e-2
    assert tiny.relative(exact, models[0](TEXT).logits) > 3e-2, "the past context must matter more than the rounding"


@pytest.mark.parametrize("name", ["llama", "qwen3"])
@torch.no_grad()
def test_a_past_context_adds_little_to_the_base_models_own_rounding(bases, name):
    wide, half = same_weights(bases(name), "right", scale=0.25)
    exact, rounded = past_contexts(wide, half)
    own = tiny.relative(half(TEXT).logits, wide(TEXT).logits)
    assert tiny.relative(half(TEXT, past_context=rounded).logits, wide(TEXT, past_context=exact).logits) < 1.5 * own


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype_encodes_and_generates(bases, dtype):
    model = tiny.with_injection(bases("qwen3"), dtype=dtype)
    past = model.encode_past_context(tiny.chunks(32, 9), tiny.ids(6))
    assert {tensor.dtype for tensor in past.keys + past.values} == {dtype}
    with torch.no_grad():
        assert model(TEXT, past_context=past).logits.isfinite().all()
    assert model.generate(TEXT, past_context=past, max_new_tokens=5, eos_token_id=None).shape == (1, 25)


@torch.no_grad()
def test_float16_stays_closer_to_float32_than_bfloat16(bases):
    errors = {}
    for dtype in (torch.float16, torch.bfloat16):
        wide, half = same_weights(bases("llama"), "right", scale=0.1, dtype=dtype)
        pasts = past_contexts(wide, half)
        errors[dtype] = tiny.relative(
            *(m(TEXT, past_context=p).logits for m, p in zip((half, wide), pasts[::-1], strict=True))
        )
    assert errors[torch.float16] < errors[torch.bfloat16] < 3e-2


@torch.no_grad()
def test_casting_the_model_does_not_round_the_positions_of_chunks(bases):
    wide, half = same_weights(bases("llama"), "right", scale=0.1)
    cast = copy.deepcopy(wide).to(torch.bfloat16)
    far = [10_000 * i for i in range(6)]
    pasts = [model.encode_past_context(tiny.chunks(*[32] * 6), None, far) for model in (half, cast)]
    torch.testing.assert_close(pasts[1].keys[0], pasts[0].keys[0])


@torch.no_grad()
def test_keys_are_rounded_once(bases):
    """Rotating to the node's place and back in bfloat16 would nearly double the error of the keys."""
    wide, half = same_weights(bases("llama"), "right", scale=0.25)
    wide.load_state_dict(half.state_dict())  # the same weights, exactly
    chunks = tiny.chunks(*[32] * 8)
    exact, rounded = wide.encode_past_context(chunks), half.encode_past_context(chunks)
    first_layer = tiny.relative(rounded.keys[0], exact.keys[0])
    values = tiny.relative(rounded.values[0], exact.values[0])
    assert first_layer < 1.5 * values, "the rotation adds no more than its own rounding"

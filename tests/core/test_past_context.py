"""Past contexts and batches of them."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from sharedllm_core import PastContext, PastContextError
from tests import tiny

QUESTION = tiny.ids(6)
TEXT = tiny.ids(9, seed=5)[None]


@torch.no_grad()
def test_states_do_not_depend_on_the_other_chunks(model):
    one, other = tiny.chunks(32, 17)
    alone = model.encode_past_context([other], QUESTION, chunk_positions=[1])
    together = model.encode_past_context([one, other], QUESTION)
    states = alone.num_states
    for a, b in zip(together.keys + together.values, alone.keys + alone.values, strict=True):
        torch.testing.assert_close(a[:, -states:], b, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_an_empty_chunk_changes_nothing(model):
    one, other = tiny.chunks(32, 17)
    plain = model.encode_past_context([one, other], QUESTION)
    padded = model.encode_past_context([[], one, torch.empty(0, dtype=torch.long), other, []], QUESTION)
    assert padded.nodes == plain.nodes
    assert padded.query_position == plain.query_position == 2
    placed = model.encode_past_context([one, [], other], QUESTION, chunk_positions=[3, 4, 9])
    assert placed.chunk_positions == (3, 9)


@torch.no_grad()
def test_a_chunk_of_one_token_gives_one_state(model):
    past = model.encode_past_context([tiny.ids(1)], QUESTION)
    assert past.num_states == 1
    assert torch.isfinite(model(TEXT, past_context=past).logits).all()


def test_positions_are_as_given_and_queries_come_after_the_largest(model):
    past = model.encode_past_context(tiny.chunks(32, 32, 4), QUESTION, chunk_positions=[7, 7, 2])
    assert past.chunk_positions == (7, 7, 2)
    assert past.query_position == 8
    assert past.nbytes == 2 * 2 * 2 * past.num_states * 8 * 4  # K and V, layers, heads, states, head size, bytes


@torch.no_grad()
@pytest.mark.parametrize("key_positions", ["chunk", "local_plus_chunk"])
def test_only_differences_of_positions_matter(bases, key_positions):
    method = replace(tiny.METHOD, key_positions=key_positions)
    model = tiny.with_injection(bases("llama"), method, dtype=torch.float64)
    chunks = tiny.chunks(32, 32, 9)
    near, far, other = (
        model(TEXT, past_context=model.encode_past_context(chunks, QUESTION, chunk_positions=positions)).logits
        for positions in ([0, 1, 2], [500, 501, 502], [0, 1, 4])
    )
    torch.testing.assert_close(near, far, atol=1e-3, rtol=1e-4)
    assert tiny.relative(near, other) > 1e-3


@torch.no_grad()
def test_positions_far_beyond_the_window_are_as_good_as_near_ones(model):
    past = model.encode_past_context(tiny.chunks(*[32] * 400), QUESTION)
    assert past.query_position == 400 > model.config.text_config.max_position_embeddings
    assert torch.isfinite(model(TEXT, past_context=past).logits).all()


@torch.no_grad()
def test_a_past_context_moves_to_another_dtype_whole(model):
    past = model.encode_past_context(tiny.chunks(32, 8), QUESTION)
    half = past.to(torch.bfloat16)
    assert {tensor.dtype for tensor in half.keys + half.values} == {torch.bfloat16}
    assert half.nbytes == past.nbytes // 2
    assert half.nodes == past.nodes
    batch = PastContext.stack([past, None, past])
    assert batch.nbytes == past.nbytes, "rows that share a past context share its states"
    assert batch.to(torch.bfloat16).nbytes == half.nbytes


@torch.no_grad()
def test_what_is_printed_of_states_is_short(model):
    past = model.encode_past_context(tiny.chunks(32, 8), QUESTION)
    for shown in (past, PastContext.stack([past, None]), *model.encode_nodes(tiny.chunks(32))):
        assert repr(shown).startswith(f"{type(shown).__name__}(")
        assert len(repr(shown)) < 120


@torch.no_grad()
def test_nodes_that_overlap_cannot_be_joined(model):
    with pytest.raises(PastContextError, match=r"nodes of chunk 0 overlap at token \d+.*select_nodes"):
        PastContext.from_nodes(model.encode_nodes(tiny.chunks(32)))


@torch.no_grad()
def test_a_selection_can_be_kept_without_the_rest_and_asked_for_no_more(model):
    (full,) = model.encode_nodes(tiny.chunks(32))
    assert [node.level for node in full.nodes] == [1] * 2 + [2] * 4 + [3] * 8
    (kept,) = model.select_nodes([full], QUESTION)
    assert kept.nbytes < full.nbytes
    assert kept.keep(kept.nodes).keys.equal(kept.keys)
    with pytest.raises(PastContextError, match=r"has no states here.*encode_nodes"):
        kept.keep(full.nodes)
    assert full.to(torch.bfloat16).keys.dtype == torch.bfloat16
    assert model.select_nodes([], QUESTION) == []
    assert PastContext.from_nodes([]).num_states == 0


@torch.no_grad()
def test_states_of_two_models_cannot_be_joined(model, tmp_path):
    tiny.make_base("llama", tmp_path, seed=9)
    stranger = tiny.untrained(tmp_path)
    states = [m.select_nodes(m.encode_nodes(tiny.chunks(32)), QUESTION)[0] for m in (model, stranger)]
    with pytest.raises(PastContextError, match="chunk 1 come from another model than those of chunk 0"):
        PastContext.from_nodes(states)


@torch.no_grad()
def test_a_past_context_of_another_model_is_refused(bases, model, tmp_path):
    text = tiny.chunks(32)
    tiny.make_base("llama", tmp_path, seed=9)
    strangers = {
        "different weights": tiny.untrained(tmp_path),
        "injection_layers=3": tiny.untrained(bases("llama"), replace(tiny.METHOD, injection_layers=3)),
        "key_positions=": tiny.untrained(bases("llama"), replace(tiny.METHOD, key_positions="local_plus_chunk")),
        "its head size is 16": tiny.untrained(bases("qwen3")),
        "RoPE parameters differ": tiny.untrained(with_other_rope(bases("llama"), tmp_path / "rope")),
        "sample_at=": tiny.untrained(bases("llama"), replace(tiny.METHOD, sample_at="interval_start")),
    }
    for why, stranger in strangers.items():
        past = stranger.encode_past_context(text, QUESTION)
        with pytest.raises(PastContextError, match=f"made by another model: .*{why}"):
            model(TEXT, past_context=past)
        with pytest.raises(PastContextError, match="made by another model"):
            model.generate(TEXT, past_context=past, max_new_tokens=2)
        with pytest.raises(PastContextError, match=r"chunk 0 were made by another model: "):
            model.select_nodes(stranger.encode_nodes(text), QUESTION)


@torch.no_grad()
def test_large_biases_do_not_hide_that_weights_differ(tmp_path):
    models = []
    for seed in (1, 2):
        tiny.make_base("qwen2", tmp_path / str(seed), seed=seed)
        models.append(tiny.untrained(tmp_path / str(seed)))
        for layer in models[-1].model.layers:
            layer.self_attn.k_proj.bias.copy_(torch.linspace(-150, 150, 16))
    past = models[0].encode_past_context(tiny.chunks(32), QUESTION)
    with pytest.raises(PastContextError, match="different weights"):
        models[1](TEXT, past_context=past)


def with_other_rope(base, folder):
    shutil.copytree(base, folder)
    values = json.loads((folder / "config.json").read_text())
    values["rope_parameters"]["rope_theta"] = 500.0
    (folder / "config.json").write_text(json.dumps(values))
    return folder


@torch.no_grad()
def test_the_same_weights_in_another_dtype_or_copy_are_not_another_model(bases, model):
    past = model.encode_past_context(tiny.chunks(32, 20), QUESTION)
    again = tiny.with_injection(bases("llama"))
    assert torch.equal(again(TEXT, past_context=past).logits, model(TEXT, past_context=past).logits)
    for dtype in (torch.bfloat16, torch.float16):
        half = tiny.with_injection(bases("llama"), dtype=dtype)
        half(TEXT, past_context=past.to(dtype))


@torch.no_grad()
def test_a_batch_of_another_size_or_something_else_is_refused(model):
    past = model.encode_past_context(tiny.chunks(32), QUESTION)
    with pytest.raises(PastContextError, match=r"has 3 rows and the running text 1; stack one past context, or None"):
        model(TEXT, past_context=PastContext.stack([past, None, past]))
    with pytest.raises(PastContextError, match="past_context is a list"):
        model(TEXT, past_context=[past])


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0], "1 chunk_positions for 2 chunks"),
        ([0, -1], "chunk position -1 is negative"),
        ([0, 1.5], r"chunk_positions=\[0, 1.5\] are not whole numbers"),
    ],
)
def test_chunk_positions_that_do_not_fit_are_refused(model, positions, message):
    with pytest.raises(PastContextError, match=message):
        model.encode_past_context(tiny.chunks(32, 32), QUESTION, chunk_positions=positions)

"""Whatever is wrong is said at once: what was given, the limit, the remedy."""

import json
import shutil

import pytest
import torch
from transformers import LlamaConfig

from sharedllm_core import (
    CheckpointError,
    ConfigError,
    InputError,
    SharedLLMConfig,
    SharedLLMError,
    SharedLLMForCausalLM,
    SharedLLMModelConfig,
    TokenIdError,
    UnsupportedBaseError,
    WindowError,
)
from sharedllm_core.model.renamed import KV_CACHE
from tests import tiny

QUESTION = tiny.ids(5)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([5, 97], TokenIdError, "chunk 1 holds token id 97, but the vocabulary has ids 0 to 96"),
        ([5, -1], TokenIdError, "chunk 1 holds token id -1"),
        (list(range(3, 36)), InputError, "chunk 1 has 33 tokens and the limit is chunk_tokens=32; cut the text"),
        ([0.5, 1.0], InputError, "give 1-D integer token ids"),
        (torch.zeros(2, 3, dtype=torch.long), InputError, r"chunk 1 is a tensor of shape \(2, 3\)"),
        ([True, False], InputError, "give 1-D integer token ids"),
        ("some text", InputError, "chunk 1 is a str, not token ids; tokenise the text first"),
        ([[3], [4, 5]], InputError, "chunk 1 is a list, not token ids"),
    ],
)
def test_a_chunk_that_cannot_be_read_is_named(model, ids, error, message):
    for encode in (lambda chunks: model.encode_past_context(chunks, QUESTION), model.encode_nodes):
        with pytest.raises(error, match=message):
            encode([tiny.ids(4), ids])


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        (tiny.ids(40), r"a tensor of shape \(40,\)"),
        ([3, 4, 5], "of type list"),
        ("some text", "of type str"),
        (None, "of type NoneType"),
    ],
)
def test_what_is_no_list_of_chunks_is_said_to_be_none(model, chunks, kind):
    for encode in (lambda given: model.encode_past_context(given, QUESTION), model.encode_nodes):
        with pytest.raises(InputError, match=rf"chunks is {kind}, not a list of chunks; give ids\.split"):
            encode(chunks)


@pytest.mark.parametrize("prompt", [tiny.ids(5), "hello", [[3, 4]]])
def test_a_prompt_that_is_not_rows_of_ids_is_refused(model, prompt):
    with pytest.raises(InputError, match=r"the running text is a .*; give ids of shape \[rows, tokens\]"):
        model.generate(prompt, max_new_tokens=2)


def test_a_prompt_padded_on_the_right_is_refused(model):
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    with pytest.raises(InputError, match="row 1 of the running text is padded on the right; pad on the left"):
        model.generate(torch.full((2, 3), 5), attention_mask=mask, max_new_tokens=2)


def test_encode_nodes_refuses_an_empty_chunk(model):
    with pytest.raises(InputError, match="chunk 1 is empty and has no nodes; leave it out"):
        model.encode_nodes([tiny.ids(4), []])


def test_chunks_may_be_lists_rows_or_narrow_integers(model):
    expected = model.encode_past_context([tiny.ids(20)], QUESTION)
    for chunk in (
        tiny.ids(20).tolist(),
        tiny.ids(20)[None],
        tiny.ids(20).to(torch.int32),
        tiny.ids(20).to(torch.uint16),
    ):
        assert torch.equal(model.encode_past_context([chunk], QUESTION).keys[1], expected.keys[1])


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (None, InputError, "policy 'similarity' compares nodes with the query, and query_ids is missing"),
        ([], InputError, "query_ids is empty"),
        ([3, 200], TokenIdError, "query_ids holds token id 200"),
        ([3] * 257, WindowError, "the query has 257 tokens and the base model's window 256"),
    ],
)
def test_a_query_that_cannot_be_compared_is_refused(model, query, error, message):
    with pytest.raises(error, match=message):
        model.encode_past_context(tiny.chunks(32), query)
    states = model.encode_nodes(tiny.chunks(32))
    with pytest.raises(error, match=message):
        model.select_nodes(states, query)


def test_the_right_policy_needs_no_query(bases):
    model = tiny.with_injection(bases("llama"), tiny.with_policy("right"))
    assert model.encode_past_context(tiny.chunks(32)).num_states == 8


def test_nodes_longer_than_the_window_are_refused(bases):
    method = SharedLLMConfig(injection_layers=2, chunk_tokens=1024)
    model = tiny.untrained(bases("llama"), method)
    assert model.encode_past_context([tiny.ids(512)], QUESTION).num_states == 64
    with pytest.raises(
        WindowError, match="chunk 0 of 600 tokens has a node of 300, and the base model's window is 256"
    ):
        model.encode_past_context([tiny.ids(600)], QUESTION)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        (
            tiny.ids(257),
            WindowError,
            "257 tokens of running text do not fit the base model's window of 256; move older",
        ),
        (torch.tensor([3, 97]), TokenIdError, "input_ids holds token id 97"),
        (torch.tensor([-100, 3]), TokenIdError, "input_ids holds token id -100"),
    ],
)
def test_running_text_that_does_not_fit_is_refused(model, ids, error, message):
    with pytest.raises(error, match=message):
        model(ids[None])
    with pytest.raises(error):
        model.generate(ids[None], max_new_tokens=1)


@torch.no_grad()
def test_the_window_counts_what_is_in_the_cache(model):
    cache = model(tiny.ids(250)[None], use_cache=True)[KV_CACHE]
    with pytest.raises(WindowError, match="260 tokens of running text do not fit"):
        model(tiny.ids(10)[None], past_key_values=cache)
    cache = model(tiny.ids(200)[None], use_cache=True)[KV_CACHE]
    with pytest.raises(TokenIdError, match="input_ids holds token id 97"):
        model(torch.tensor([[3, 97]]), past_key_values=cache)
    cache = model(tiny.ids(250)[None], use_cache=True)[KV_CACHE]
    assert model(tiny.ids(6)[None], past_key_values=cache).logits.shape == (1, 6, tiny.VOCAB)
    with pytest.raises(InputError, match="cache and past_key_values are both given"):
        model(tiny.ids(1)[None], past_key_values=cache, cache=cache)


@torch.no_grad()
def test_a_cache_has_its_old_and_its_new_name(model):
    ids = tiny.ids(20)[None]
    continued = []
    for name in ("cache", "past_key_values"):
        cache = model(ids[:, :12], use_cache=True)[KV_CACHE]
        continued.append(model(ids[:, 12:], **{name: cache}).logits)
    assert torch.equal(*continued)
    torch.testing.assert_close(continued[0], model(ids).logits[:, 12:], atol=1e-4, rtol=1e-4)


def test_a_folder_that_is_no_checkpoint_is_said_to_be_none(bases, tmp_path):
    empty, file, broken, weightless, pickled = (tmp_path / name for name in ("empty", "file", "broken", "none", "bin"))
    for folder in (empty, broken, weightless, pickled):
        folder.mkdir()
    file.write_text("x")
    (broken / "config.json").write_text("{")
    for folder in (weightless, pickled):
        shutil.copy(bases("llama") / "config.json", folder)
    (pickled / "pytorch_model.bin").write_bytes(b"")
    wrong = {
        empty: "has no config.json",
        file: "is a file; give the checkpoint's folder",
        broken: "cannot be read as JSON",
        weightless: "has no weights in safetensors files; copy the checkpoint again",
        pickled: "has no weights in safetensors files; convert it with save_pretrained",
        tmp_path / "nowhere": "is neither a folder nor a hub id that can be reached",
        "nobody/nothing": "is neither a folder nor a hub id that can be reached",
    }
    for folder, message in wrong.items():
        with pytest.raises(CheckpointError, match=message):
            SharedLLMForCausalLM.from_base(folder)
    for folder in (empty, broken, file, "nobody/nothing"):
        with pytest.raises(CheckpointError):
            SharedLLMForCausalLM.from_pretrained(folder)


def test_a_plain_base_model_is_not_taken_for_a_trained_one(bases):
    with pytest.raises(CheckpointError, match="is a 'llama' model without injection; add one with from_base"):
        SharedLLMForCausalLM.from_pretrained(bases("llama"))


@pytest.mark.parametrize("kind", ["full", "adapter"])
def test_damaged_or_incomplete_weights_are_refused(bases, tmp_path, kind):
    model = tiny.with_injection(bases("llama"))
    (model.save_pretrained if kind == "full" else model.save_adapter)(tmp_path)
    weights = next(tmp_path.glob("*.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"damaged|lacks"):
        SharedLLMForCausalLM.from_pretrained(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError):
        SharedLLMForCausalLM.from_pretrained(tmp_path)


def test_a_full_checkpoint_without_its_injection_is_refused(bases, tmp_path):
    tiny.with_injection(bases("llama")).save_pretrained(tmp_path)
    shutil.copy(bases("llama") / "model.safetensors", tmp_path)
    with pytest.raises(CheckpointError, match=r"lacks 6 tensors, injection\.0\.layernorm\.weight among them"):
        SharedLLMForCausalLM.from_pretrained(tmp_path)


def test_an_adapter_of_a_newer_version_is_refused(bases, tmp_path):
    tiny.with_injection(bases("llama")).save_adapter(tmp_path)
    described = tmp_path / "sharedllm_adapter.json"
    values = json.loads(described.read_text())
    described.write_text(json.dumps(values | {"format": 99}))
    with pytest.raises(CheckpointError, match="has format 99 and this version reads up to 2; install a newer"):
        SharedLLMForCausalLM.from_pretrained(tmp_path)
    described.write_text(json.dumps({"format": 1}))
    with pytest.raises(CheckpointError, match="is incomplete"):
        SharedLLMForCausalLM.from_pretrained(tmp_path)


def test_an_unsupported_family_is_refused_and_the_supported_ones_are_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(UnsupportedBaseError, match="'gpt2' are not supported; use one of llama, mistral, qwen2, qwen3"):
        SharedLLMForCausalLM.from_base(tmp_path)


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0},
        {
            "rope_type": "longrope",
            "rope_theta": 1e4,
            "factor": 2.0,
            "short_factor": [1.0] * 4,
            "long_factor": [2.0] * 4,
            "original_max_position_embeddings": 64,
        },
    ],
)
def test_a_rope_that_changes_with_length_is_refused(rope, bases, tmp_path):
    base = LlamaConfig(**tiny.SHAPE, rope_parameters=rope)
    with pytest.raises(
        UnsupportedBaseError, match=f"RoPE of kind '{rope['rope_type']}' is not supported.*default, linear"
    ):
        SharedLLMForCausalLM(SharedLLMModelConfig(text_config=base, method=tiny.METHOD))
    base.save_pretrained(tmp_path)
    shutil.copy(bases("llama") / "model.safetensors", tmp_path)
    with pytest.raises(UnsupportedBaseError, match="RoPE of kind"):
        SharedLLMForCausalLM.from_base(tmp_path)


def test_more_injection_layers_than_layers_are_refused(bases):
    with pytest.raises(ConfigError, match="injection_layers=5, but the base model has 4 layers"):
        SharedLLMForCausalLM.from_base(bases("llama"), SharedLLMConfig(injection_layers=5))
    with pytest.raises(ConfigError, match="config='best' is not a preset"):
        SharedLLMForCausalLM.from_base(bases("llama"), "best")


def test_every_error_is_one_of_ours_and_one_that_python_users_expect():
    from sharedllm_core import errors

    kinds = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert len(kinds) == 15
    assert all(issubclass(kind, SharedLLMError) and kind.__doc__ for kind in kinds)
    assert issubclass(ConfigError, ValueError)
    assert issubclass(CheckpointError, OSError)
    assert all(name in errors.__doc__ for name in errors.__all__ if name.endswith(("Error", "Warning")))

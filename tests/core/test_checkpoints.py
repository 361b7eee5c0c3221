"""Saving and loading: bases, adapters and full checkpoints, bit for bit."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from sharedllm_core import CheckpointError, SharedLLMConfig, SharedLLMForCausalLM, SharedLLMModelConfig
from sharedllm_core.model.checkpoint import weights_fingerprint
from tests import tiny

FAMILIES = pytest.mark.parametrize("name", tiny.BASES)
TEXT = tiny.ids(9, seed=5)[None]


def assert_same(a, b):
    ours, theirs = a.state_dict(), b.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].dtype == theirs[name].dtype, name
        assert torch.equal(ours[name], theirs[name]), name
    with torch.no_grad():
        for weight in (*a.parameters(), *b.parameters()):
            # Weights read from a file lie at another address than others, and some processors' sums round by that.
            weight.data = weight.data.clone()
        pasts = [model.encode_past_context(tiny.chunks(32, 9), tiny.ids(5)) for model in (a, b)]
        logits = [model(TEXT, past_context=past).logits for model, past in zip((a, b), pasts, strict=True)]
    assert torch.equal(*logits)


@FAMILIES
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_full_checkpoint_survives_saving_and_loading_bit_for_bit(bases, name, dtype, tmp_path):
    model = tiny.with_injection(bases(name), dtype=dtype)
    model.save_pretrained(tmp_path)
    for loaded in (
        SharedLLMForCausalLM.from_pretrained(tmp_path),
        AutoModelForCausalLM.from_pretrained(tmp_path),
    ):
        assert isinstance(loaded, SharedLLMForCausalLM)
        assert loaded.method == model.method
        assert_same(loaded.eval(), model)


@pytest.mark.parametrize("name", ["qwen2", "qwen3"])
def test_biases_norms_and_ties_survive(bases, name, tmp_path):
    model = tiny.with_injection(bases(name))
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    tied = name == "qwen3"
    assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) == tied
    assert loaded.config.tie_word_embeddings == tied
    assert sum(w.numel() for w in loaded.parameters()) == sum(w.numel() for w in model.parameters())
    part = "q_norm.weight" if tied else "q_proj.bias"
    assert loaded.state_dict()[f"injection.1.{part}"].abs().min() > 0


@FAMILIES
def test_an_adapter_gives_back_the_model_from_its_base(bases, name, tmp_path):
    model = tiny.with_injection(bases(name))
    tiny.randomise(model.model.layers[3])  # a tuned upper layer
    model.save_adapter(tmp_path)
    assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path).eval(), model)
    assert_same(AutoModelForCausalLM.from_pretrained(tmp_path).eval(), model)
    saved = load_file(tmp_path / "sharedllm_adapter.safetensors")
    assert {key for key in saved if not key.startswith("injection.")} == {
        key for key in model.state_dict() if key.startswith("model.layers.3.")
    }
    assert not (tmp_path / "adapter_config.json").exists(), "PEFT would claim it"


def test_checkpoints_can_be_sharded(bases, tmp_path):
    model = tiny.with_injection(bases("llama"))
    model.save_pretrained(tmp_path / "full", max_shard_size="40KB")
    model.save_adapter(tmp_path / "adapter", max_shard_size="6KB")
    for folder in ("full", "adapter"):
        assert len(list((tmp_path / folder).glob("*.safetensors"))) > 1
        assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path / folder).eval(), model)
    next((tmp_path / "full").glob("*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match=r"lacks model-0000\d-of-\d+\.safetensors, which its index names"):
        SharedLLMForCausalLM.from_pretrained(tmp_path / "full")
    next((tmp_path / "adapter").glob("*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match=r"lacks \d+ of 6 tensors.*copy all of the adapter's files"):
        SharedLLMForCausalLM.from_pretrained(tmp_path / "adapter")


def test_saving_an_adapter_again_leaves_nothing_of_the_old_one(bases, tmp_path):
    model = tiny.with_injection(bases("llama"))
    model.save_adapter(tmp_path, max_shard_size="6KB")
    model.save_adapter(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path).eval(), model)


def test_a_base_with_other_weights_is_refused(bases, tmp_path):
    base, other = tmp_path / "base", tmp_path / "other"
    shutil.copytree(bases("llama"), base)
    tiny.make_base("llama", other, seed=5)
    model = tiny.with_injection(base)
    model.save_adapter(tmp_path / "adapter")
    with pytest.raises(
        CheckpointError, match=r"belongs to a base model with weights sha256:.*give that base model with"
    ):
        SharedLLMForCausalLM.from_pretrained(tmp_path / "adapter", base=other)
    base.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"the adapter's base model: .*give its location as base="):
        SharedLLMForCausalLM.from_pretrained(tmp_path / "adapter")
    assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path / "adapter", base=tmp_path / "moved").eval(), model)


def test_how_a_base_is_sharded_does_not_change_its_fingerprint(bases, tmp_path):
    AutoModelForCausalLM.from_pretrained(bases("llama")).save_pretrained(tmp_path, max_shard_size="30KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert weights_fingerprint(tmp_path) == weights_fingerprint(bases("llama"))
    tensors = load_file(bases("llama") / "model.safetensors")
    tensors["model.norm.weight"][0] += 1e-3
    save_file(tensors, tmp_path / "model.safetensors")
    for shard in tmp_path.glob("model-*.safetensors"):
        shard.unlink()
    (tmp_path / "model.safetensors.index.json").unlink()
    assert weights_fingerprint(tmp_path) != weights_fingerprint(bases("llama"))


def test_an_adapter_that_would_lose_trained_weights_is_not_saved(bases, tmp_path):
    for name in ("model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight", "lm_head.weight"):
        model = tiny.with_injection(bases("llama"))
        with torch.no_grad():
            model.get_parameter(name)[0] += 1
        with pytest.raises(
            CheckpointError, match=rf"{name} differs from the base.*save everything with save_pretrained"
        ):
            model.save_adapter(tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_model_of_no_known_base_asks_for_one(bases, tmp_path):
    config = SharedLLMModelConfig(text_config=tiny.BASES["llama"], method=tiny.METHOD)
    model = SharedLLMForCausalLM(config)
    with pytest.raises(CheckpointError, match="give base="):
        model.save_adapter(tmp_path)
    with pytest.raises(CheckpointError, match="differs from the base"):
        model.save_adapter(tmp_path, base=bases("llama"))


@pytest.mark.parametrize("device_map", ["cpu", {"": "cpu"}, "auto"])
@pytest.mark.parametrize("kind", ["base", "full", "adapter"])
def test_loading_takes_dtype_and_device_map_as_transformers_does(bases, tmp_path, device_map, kind):
    model = tiny.with_injection(bases("qwen2"))
    model.save_pretrained(tmp_path / "full")
    model.save_adapter(tmp_path / "adapter")
    asked = {"dtype": torch.bfloat16, "device_map": device_map}
    if kind == "base":
        loaded = SharedLLMForCausalLM.from_base(bases("qwen2"), tiny.METHOD, **asked)
    else:
        loaded = SharedLLMForCausalLM.from_pretrained(tmp_path / kind, **asked)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.bfloat16}
    past = loaded.encode_past_context(tiny.chunks(32, 9), tiny.ids(5))
    assert loaded(TEXT, past_context=past).logits.dtype == torch.bfloat16


def test_the_bases_dtype_is_kept_when_none_is_asked_for(bases, tmp_path):
    AutoModelForCausalLM.from_pretrained(bases("llama"), dtype=torch.bfloat16).save_pretrained(tmp_path)
    assert tiny.untrained(tmp_path).dtype == torch.bfloat16


def test_injected_layers_that_are_offloaded_are_refused(bases, tmp_path):
    placed = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    placed |= {"injection": "cpu", "model.layers.0": "disk"} | {f"model.layers.{i}": "cpu" for i in (1, 2, 3)}
    with pytest.raises(
        CheckpointError,
        match=r"device_map keeps injected layers off the devices.*place embeddings, the injected layers",
    ):
        tiny.untrained(bases("llama"), device_map=placed, offload_folder=tmp_path)


def test_loading_info_is_returned_when_asked_for(bases, tmp_path):
    model, info = SharedLLMForCausalLM.from_base(bases("llama"), tiny.METHOD, output_loading_info=True)
    assert not info["missing_keys"]
    model.save_pretrained(tmp_path)
    _, info = SharedLLMForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]


def test_the_configuration_is_saved_with_the_model(bases, tmp_path):
    method = SharedLLMConfig(injection_layers=3, chunk_tokens=64, compression_ratio=6.5, policy="right")
    tiny.untrained(bases("qwen3"), method).save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.method == method
    assert config.text_config.to_dict()["model_type"] == "qwen3"
    for name in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings"):
        assert getattr(config, name) == getattr(tiny.BASES["qwen3"], name)
    assert json.loads((tmp_path / "config.json").read_text())["method"]["compression_ratio"] == 6.5
    with pytest.raises(CheckpointError, match="has an injection already; load it with from_pretrained"):
        SharedLLMForCausalLM.from_base(tmp_path)


def test_presets_are_taken_by_name(bases):
    assert SharedLLMForCausalLM.from_base(bases("llama")).method == SharedLLMConfig.instruction(4)
    modelling = SharedLLMForCausalLM.from_base(bases("llama"), "language_modelling")
    assert modelling.method == SharedLLMConfig.language_modelling(4)


def test_generation_settings_of_the_base_are_kept(bases, tmp_path):
    shutil.copytree(bases("llama"), tmp_path, dirs_exist_ok=True)
    settings = json.loads((tmp_path / "generation_config.json").read_text()) | {"eos_token_id": [2, 7]}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    assert tiny.untrained(tmp_path).generation_config.eos_token_id == [2, 7]


def test_a_hub_id_is_read_from_the_hubs_cache_without_a_network(bases, tmp_path):
    repository = tmp_path / "models--somebody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(bases("llama"), repository / "snapshots" / ("0" * 40))
    model = SharedLLMForCausalLM.from_base("somebody/tiny", tiny.METHOD, cache_dir=tmp_path)
    assert model.config.base == "somebody/tiny"
    assert_same(model.eval(), tiny.untrained(bases("llama")))


def test_a_full_checkpoint_saved_over_an_adapter_is_the_one_that_is_loaded(bases, tmp_path):
    model = tiny.with_injection(bases("llama"))
    model.save_adapter(tmp_path)
    tiny.randomise(model.injection)
    model.save_pretrained(tmp_path)
    assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path).eval(), model)
    with pytest.raises(CheckpointError, match="holds another checkpoint, which an adapter would shadow"):
        model.save_adapter(tmp_path)


def test_an_adapter_finds_a_base_that_was_named_relative_to_another_folder(bases, tmp_path, monkeypatch):
    monkeypatch.chdir(bases("llama").parent)
    model = tiny.with_injection("llama")
    model.save_adapter(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path).eval(), model)


def test_an_adapter_takes_what_the_auto_class_is_asked_for(bases, tmp_path):
    model = tiny.with_injection(bases("llama"))
    model.save_adapter(tmp_path / "adapter")
    shutil.copytree(bases("llama"), tmp_path / "moved")
    asked = {"attn_implementation": "eager", "base": str(tmp_path / "moved"), "dtype": torch.bfloat16}
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter", **asked)
    assert loaded.model.config._attn_implementation == "eager"
    assert loaded.config.base == str(tmp_path / "moved")
    assert loaded.dtype == torch.bfloat16


def test_an_adapter_of_a_hub_base_is_loaded_from_the_same_cache_and_revision(bases, tmp_path):
    repository = tmp_path / "models--somebody--tiny"
    for revision, name in (("0" * 40, "qwen2"), ("1" * 40, "llama")):
        shutil.copytree(bases(name), repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    model = tiny.with_injection("somebody/tiny", cache_dir=tmp_path, revision="1" * 40)
    model.save_adapter(tmp_path / "adapter", cache_dir=tmp_path)
    assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path / "adapter", cache_dir=tmp_path).eval(), model)


def test_an_adapter_keeps_the_dtype_it_was_trained_in(bases, tmp_path):
    AutoModelForCausalLM.from_pretrained(bases("llama"), dtype=torch.bfloat16).save_pretrained(tmp_path / "base")
    model = tiny.with_injection(tmp_path / "base", dtype=torch.float32)
    model.save_adapter(tmp_path / "adapter")
    assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path / "adapter").eval(), model)


def test_a_checkpoint_may_lie_in_a_subfolder(bases, tmp_path):
    shutil.copytree(bases("llama"), tmp_path / "sub")
    model = tiny.with_injection(tmp_path, subfolder="sub")
    model.save_pretrained(tmp_path / "full" / "sub")
    assert_same(SharedLLMForCausalLM.from_pretrained(tmp_path / "full", subfolder="sub").eval(), model)
    assert_same(AutoModelForCausalLM.from_pretrained(tmp_path / "full", subfolder="sub").eval(), model)


def test_files_beside_the_weights_are_not_taken_for_weights(bases, tmp_path):
    shutil.copytree(bases("llama"), tmp_path, dirs_exist_ok=True)
    before = weights_fingerprint(tmp_path)
    save_file({"other": torch.ones(3)}, tmp_path / "consolidated.safetensors")
    assert weights_fingerprint(tmp_path) == before


def test_a_resized_vocabulary_is_saved_as_such(bases, tmp_path):
    model = tiny.with_injection(bases("qwen3"))
    model.resize_token_embeddings(110)
    model.save_pretrained(tmp_path)
    loaded = SharedLLMForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.config.vocab_size == loaded.config.text_config.vocab_size == 110
    assert loaded(torch.tensor([[109, 3]])).logits.shape == (1, 2, 110)
    assert_same(loaded, model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("method"), "has no 'method'"),
        (lambda values: values["text_config"].update(hidden_size=64), "have other shapes than its config.json says"),
        (lambda values: values["text_config"].update(model_type="none"), "cannot be used"),
    ],
)
def test_a_configuration_that_does_not_fit_the_weights_is_refused(bases, tmp_path, change, message):
    tiny.with_injection(bases("llama")).save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    change(values)
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=message):
        SharedLLMForCausalLM.from_pretrained(tmp_path)

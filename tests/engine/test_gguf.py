"""GGUF files are converted once to a checkpoint folder, completely or not at all."""

import os
import re
import signal
import subprocess
import sys
import time

import gguf
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from sharedllm_core import CheckpointError, TokenizerError
from sharedllm_core.engine import gguf_conversion
from sharedllm_core.engine.gguf_header import read_header
from sharedllm_core.engine.loading import load_model, load_tokenizer
from sharedllm_core.engine.model_summary import model_summary
from sharedllm_core.text.tokenization import TextTokenizer
from tests import real_models, tiny_engine, tiny_gguf

#: Names of Llama's tensors in GGUF files and in transformers.
NAMES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
SLOW_CONVERSION = """
import sys, time
from pathlib import Path
from sharedllm_core.engine import gguf_conversion
def wait(folder):
    print("written", flush=True)
    time.sleep(60)
gguf_conversion._sync = wait
gguf_conversion.converted_gguf(Path(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """The folder of converted models."""
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def file(tmp_path):
    return tiny_gguf.write(tmp_path / "model.gguf")


def load(name, **kwargs):
    return load_model(name, None, None, None, kwargs)


def loaded_directly(file, dtype):
    """The state dict that transformers makes of a GGUF file without this library."""
    options = {"gguf_file": file.name, "dtype": dtype}
    if hasattr(transformers, "GgufConfig"):
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    return AutoModelForCausalLM.from_pretrained(file.parent, **options).state_dict()


def test_the_converted_smollm2_equals_its_gguf_tensor_by_tensor():
    saved = load_file(real_models.smollm2_folder() / "model.safetensors")
    direct = dequantised(real_models.smollm2_gguf())
    assert len(direct) == 272
    assert direct.keys() == saved.keys()
    assert all(torch.equal(saved[name], direct[name].bfloat16()) for name in saved)
    assert all(torch.equal(saved[name].float(), direct[name]) for name in saved if "norm" in name)


def dequantised(file, heads=9, kv_heads=3):
    """The tensors of a GGUF file of Llama's family by their names in transformers, read without transformers."""
    data, tensors = np.memmap(file, mode="r"), {}
    for tensor in read_header(file).tensors:
        block_values, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(tensor.kind)]
        stored = data[tensor.offset : tensor.offset + tensor.num_values // block_values * block_bytes]
        rows = stored.reshape(-1, block_bytes * tensor.shape[-1] // block_values)
        kind = gguf.GGMLQuantizationType(tensor.kind)
        values = torch.from_numpy(gguf.dequantize(rows, kind).copy()).view(tensor.shape)
        layer, part = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", tensor.name).groups()
        if part in {"attn_q", "attn_k"}:  # rotary pairs lie side by side in a GGUF file, and in halves in transformers
            number = heads if part == "attn_q" else kv_heads
            values = values.view(number, -1, 2, tensor.shape[-1]).transpose(1, 2).reshape(tensor.shape)
        prefix = "model." if layer is None else f"model.layers.{layer}."
        tensors[f"{prefix}{NAMES[part]}.weight"] = values
    return tensors


@pytest.mark.parametrize(("kind", "dtype"), [("Q8_0", "bfloat16"), ("BF16", "bfloat16"), ("F32", "float32")])
def test_weights_are_saved_in_bfloat16_unless_they_are_float32(kind, dtype, tmp_path):
    file = tiny_gguf.write(tmp_path / "model.gguf", kind=kind)
    saved = load(file, dtype="auto").state_dict()
    direct = loaded_directly(file, torch.float32)
    expected = getattr(torch, dtype)
    assert gguf_conversion.saved_dtype(read_header(file)) == expected
    assert saved.keys() == direct.keys()
    assert all(torch.equal(saved[name], direct[name].to(expected)) for name in saved)


def test_the_converted_folder_has_model_and_tokenizer_and_needs_no_gguf(file, models):
    model = load(file)
    (folder,) = models.iterdir()
    assert model.name_or_path == str(folder)
    assert not hasattr(AutoConfig.from_pretrained(folder), "quantization_config")
    text = "The tenant paid rent."
    ids = TextTokenizer(load_tokenizer(None, file, model)).encode(text).ids
    assert torch.equal(ids, TextTokenizer(tiny_engine.tokenizer()).encode(text).ids)
    assert model_summary(file).context_tokens == model.config.max_position_embeddings


def test_the_second_load_does_not_convert_again(file, monkeypatch):
    first = load(file).state_dict()
    monkeypatch.setattr(gguf_conversion, "_convert", None)
    monkeypatch.setattr(gguf_conversion, "find_spec", lambda name: None)  # nor does it need the packages
    renamed = file.rename(file.with_name("blob"))
    second = load(renamed).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_conversion_leaves_nothing_that_is_taken_for_a_model(file, models):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_CONVERSION, file],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tiny_engine.ROOT,
    )
    assert process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (remains,) = models.iterdir()
    assert remains.name.endswith(".tmp")
    assert load(file).name_or_path != str(remains)
    assert len(list(models.iterdir())) == 2
    day_ago = time.time() - 25 * 3600
    os.utime(remains, (day_ago, day_ago))
    load(tiny_gguf.write(file.with_name("other.gguf"), seed=1))  # the next conversion cleans up
    assert not remains.exists()
    assert len(list(models.iterdir())) == 2


def test_a_conversion_that_another_process_finished_first_is_used(file, models):
    load(file)
    (folder,) = models.iterdir()
    before = (folder / "model.safetensors").stat().st_ino
    gguf_conversion._convert(file, read_header(file), folder)
    assert (folder / "model.safetensors").stat().st_ino == before
    assert list(models.iterdir()) == [folder]


def test_damaged_converted_weights_say_how_they_are_made_again(file, models):
    load(file)
    (folder,) = models.iterdir()
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"damaged .*; delete that folder; the next load converts the GGUF"):
        load(file)


def test_a_folder_that_cannot_be_written(file, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(CheckpointError, match=r"cannot be saved in .*SHAREDLLM_CACHE_DIR"):
        load(file)


def test_without_the_packages_the_error_names_the_command(file, models, monkeypatch):
    monkeypatch.setattr(gguf_conversion, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"GGUF files need gguf and accelerate: pip install 'sharedllm\[gguf\]'"):
        load(file)
    assert not models.exists()


# ---------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", r"model\.gguf is empty; download it again"),
        (b"PK\x03\x04" + bytes(100), r"is a file, and no GGUF file; give a GGUF file or the checkpoint's folder"),
        (b"GGUF\x01\x00\x00\x00" + bytes(100), "is of GGUF version 1, and versions 2 and 3 are supported; download"),
        (b"GGUF", "the header of .* is damaged or cut off after 4 bytes; download it again"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 16, "is damaged or cut off after 24 bytes; download it again"),
    ],
)
def test_a_file_that_is_no_gguf(content, fault, file, models):
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=fault):
        load(file)
    assert not models.exists()


@pytest.mark.parametrize("share", [0.05, 0.5, 0.999])
def test_a_file_that_is_cut_off(share, file, models):
    complete = file.read_bytes()
    file.write_bytes(complete[: int(share * len(complete))])
    with pytest.raises(CheckpointError, match=r"is (damaged or )?cut off.* bytes.*; download it again"):
        load(file)
    assert not models.exists()


def test_an_architecture_that_transformers_cannot_convert(tmp_path, models):
    file = tiny_gguf.write(tmp_path / "model.gguf", architecture="clip")
    with pytest.raises(CheckpointError, match=r"\(architecture 'clip'\) cannot be converted by transformers .* use"):
        load(file)
    assert not models.exists()


def test_tensors_that_are_missing_are_never_random(tmp_path, models):
    file = tiny_gguf.write(tmp_path / "model.gguf", without=["blk.1.ffn_up.weight"])
    with pytest.raises(CheckpointError, match=r"lacks 1 tensors, model\.layers\.1\.mlp\.up_proj\.weight among them"):
        load(file)
    assert not models.exists()


def test_a_file_without_tokenizer_asks_for_one(tmp_path):
    file = tiny_gguf.write(tmp_path / "model.gguf", tokenizer=False)
    model = load(file)
    with pytest.raises(TokenizerError, match=r"holds none.*say where it is with tokenizer="):
        load_tokenizer(None, file, model)


def test_one_of_several_parts(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointError, match=r"is one of 3 parts of a model; merge them with llama-gguf-split"):
        load(tmp_path / "part.gguf")

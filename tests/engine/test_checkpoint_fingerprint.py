"""The fingerprint of a model's files: without its weights, without a download, and without hashing a file twice."""

import hashlib
import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from sharedllm_core.engine import file_digests, gguf_conversion
from sharedllm_core.engine.checkpoint_fingerprint import checkpoint_fingerprint, checkpoint_versions
from sharedllm_core.engine.model_names import DEFAULT_MODEL
from tests import tiny, tiny_engine
from tests.real_models import smollm2_gguf

SAVED = ".sharedllm_digests.json"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """A user's cache folder, and a process that has hashed nothing."""
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(file_digests, "_known", {})
    return tmp_path / "cache"


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that are hashed."""
    names, digest = [], hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, *how: names.append(os.path.basename(file.name)) or digest(file, *how)
    )
    return names


@pytest.fixture
def model(checkpoint, tmp_path):
    """A checkpoint that a test may change."""
    return shutil.copytree(checkpoint, tmp_path / "model")


def change_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[0]
    weights[name][..., 0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def in_hub_cache(folder, cache, revision="0" * 40):
    repository = cache / "models--somebody--tiny"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    return shutil.copytree(folder, repository / "snapshots" / revision)


def test_any_change_of_weights_method_or_tokenizer_shows(model):
    fingerprints = [checkpoint_fingerprint(model)]
    change_a_weight(model)
    fingerprints.append(checkpoint_fingerprint(model))
    for name, key in (("config.json", "method"), ("tokenizer_config.json", "eos_token")):
        values = json.loads((model / name).read_text())
        values[key] = values[key] | {"policy": "lexical"} if key == "method" else "<|user|>"
        (model / name).write_text(json.dumps(values))
        fingerprints.append(checkpoint_fingerprint(model))
    (model / "chat_template.jinja").write_text("another template")
    fingerprints.append(checkpoint_fingerprint(model))
    assert len(set(fingerprints)) == 5


def test_equal_checkpoints_have_equal_fingerprints_wherever_they_are(model, tmp_path):
    assert checkpoint_fingerprint(shutil.copytree(model, tmp_path / "copy")) == checkpoint_fingerprint(model)
    (model / "README.md").write_text("What is not loaded does not count.")
    (model / "optimizer.pt").write_bytes(b"x" * 99)
    assert checkpoint_fingerprint(tmp_path / "copy") == checkpoint_fingerprint(model)


def test_a_file_is_hashed_once_in_all_processes_until_it_is_replaced(model, hashed, monkeypatch):
    first = checkpoint_fingerprint(model)
    assert hashed.count("model.safetensors") == 1
    assert checkpoint_fingerprint(model) == first
    found = tiny_engine.run_python(
        "import hashlib; from sharedllm_core.engine.checkpoint_fingerprint import checkpoint_fingerprint as compute\n"
        f"hashlib.file_digest = None; print(compute({str(model)!r}))"
    )
    assert found.stdout.split() == [first], found.stderr
    monkeypatch.setattr(file_digests, "_known", {})
    hashed.clear()
    change_a_weight(model)
    assert checkpoint_fingerprint(model) != first
    assert hashed == ["model.safetensors"]


def test_a_file_that_was_replaced_with_the_same_size_and_time_is_hashed_again(model):
    first = checkpoint_fingerprint(model)
    weights, times = model / "model.safetensors", os.stat(model / "model.safetensors")
    change_a_weight(model)
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert weights.stat().st_size == times.st_size
    assert checkpoint_fingerprint(model) != first


def test_digests_are_saved_beside_a_users_checkpoint(model, cache_folder):
    checkpoint_fingerprint(model)
    assert str(model / "model.safetensors") in json.loads((model / SAVED).read_text())
    assert not cache_folder.exists()


def test_digests_of_a_folder_that_cannot_be_written_are_saved_in_the_users_cache_folder(
    model, cache_folder, hashed, monkeypatch
):
    (model / SAVED / "in the way").mkdir(parents=True)
    first = checkpoint_fingerprint(model)
    assert str(model / "model.safetensors") in json.loads((cache_folder / "models" / SAVED).read_text())
    monkeypatch.setattr(file_digests, "_known", {})
    hashed.clear()
    assert checkpoint_fingerprint(model) == first
    assert not hashed


def test_saved_digests_that_are_damaged_are_computed_again(model, monkeypatch):
    first = checkpoint_fingerprint(model)
    for damaged in ("no JSON", "[]", json.dumps({str(model / "model.safetensors"): {"version": [1], "sha256": 3}})):
        (model / SAVED).write_text(damaged)
        monkeypatch.setattr(file_digests, "_known", {})
        assert checkpoint_fingerprint(model) == first


@pytest.mark.parametrize("name", [None, "reader", DEFAULT_MODEL])
def test_the_packages_folder_stays_as_it_is(name, cache_folder):
    before = sorted(DEFAULT_MODEL.iterdir())
    assert checkpoint_fingerprint(name) == checkpoint_fingerprint("reader") is not None
    assert sorted(DEFAULT_MODEL.iterdir()) == before
    assert (cache_folder / "models" / SAVED).is_file()


def test_a_gguf_file_is_hashed_without_its_conversion(tmp_path, monkeypatch):
    monkeypatch.setattr(gguf_conversion, "converted_gguf", None)
    file = tmp_path / "link.gguf"  # the package's folder stays as it is
    file.symlink_to(smollm2_gguf())
    assert checkpoint_fingerprint("smollm2") == checkpoint_fingerprint(file) is not None
    (tmp_path / "other.gguf").write_bytes(b"GGUF and more")
    assert checkpoint_fingerprint(tmp_path / "other.gguf") not in (None, checkpoint_fingerprint(file))
    assert checkpoint_fingerprint(tmp_path / "missing.gguf") is None


def test_an_adapter_includes_its_base(bases, tmp_path):
    base = shutil.copytree(bases("llama"), tmp_path / "base")
    adapter = tmp_path / "adapter"
    tiny.with_injection(base).save_adapter(adapter)
    fingerprints = [checkpoint_fingerprint(adapter)]
    change_a_weight(base)
    fingerprints.append(checkpoint_fingerprint(adapter))
    tiny_engine.tokenizer().save_pretrained(base)
    fingerprints.append(checkpoint_fingerprint(adapter))
    assert len({*fingerprints, None}) == 4
    shutil.rmtree(base)
    assert checkpoint_fingerprint(adapter) is None


def test_a_checkpoint_without_a_tokenizer_includes_that_of_its_base(model, tmp_path):
    config = json.loads((model / "config.json").read_text())
    base = shutil.copytree(config["base"], tmp_path / "base")
    (model / "config.json").write_text(json.dumps(config | {"base": str(base)}))
    for file in (*model.glob("*token*"), model / "chat_template.jinja"):
        file.unlink()
    before = checkpoint_fingerprint(model)
    tiny_engine.tokenizer().save_pretrained(base)
    assert checkpoint_fingerprint(model) not in (before, None)


def test_a_hub_id_is_looked_up_in_the_local_cache_alone(model, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    assert checkpoint_fingerprint("somebody/tiny") is None, "before its download"
    snapshot = in_hub_cache(model, tmp_path / "hub")
    assert checkpoint_fingerprint("somebody/tiny") == checkpoint_fingerprint(model)
    assert not (snapshot / SAVED).exists(), "the hub's cache keeps its form"
    change_a_weight(model)
    in_hub_cache(model, tmp_path / "hub", "1" * 40)
    assert checkpoint_fingerprint("somebody/tiny") == checkpoint_fingerprint(model), "of the revision in use"
    (tmp_path / "hub/models--somebody--tiny/snapshots" / ("1" * 40) / "model.safetensors").unlink()
    assert checkpoint_fingerprint("somebody/tiny") is None, "the weights are not there yet"


def test_a_checkpoint_without_one_of_its_shards_has_no_fingerprint(model):
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-2.safetensors"}}))
    assert checkpoint_fingerprint(model) is checkpoint_versions(model) is None
    torch.save({}, model / "model-2.safetensors")
    assert checkpoint_fingerprint(model)


@pytest.mark.parametrize("name", ["nowhere", "no/where/at/all", "../x", ""])
def test_what_is_no_model_has_no_fingerprint(name):
    assert checkpoint_fingerprint(name) is checkpoint_versions(name) is None

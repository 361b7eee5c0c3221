"""States of a frozen lower model are computed once per document, and training is the same as without keeping them."""

import pytest
import torch
from safetensors.torch import load_file

from sharedllm_core.training import past

from .runs import losses, train_here

METHOD = {"injection_layers": 2, "chunk_tokens": 32, "compression_ratio": 4, "split_noise_tokens": 0}
CHANGES = {"trained": "injection+upper", "method": METHOD, "steps": 12}


@pytest.fixture
def encoded(monkeypatch):
    """Numbers of nodes that the lower model encodes."""
    counts = []
    real = past.encoding.encode

    def encode(lower, chunks, nodes):
        counts.append(sum(map(len, nodes)))
        return real(lower, chunks, nodes)

    monkeypatch.setattr(past.encoding, "encode", encode)
    return counts


def weights(output):
    return load_file(output / "model" / "model.safetensors")


def test_training_is_the_same_and_the_lower_model_runs_once_per_node(folder, tmp_path, encoded):
    train_here(folder, tmp_path / "anew", **CHANGES, tree_cache_bytes=0)
    anew = sum(encoded)
    encoded.clear()
    train_here(folder, tmp_path / "kept", **CHANGES)
    first_epoch = sum(encoded[:6])  # 24 rows in batches of 4
    assert first_epoch > 0
    assert sum(encoded) == first_epoch
    assert anew >= 2 * first_epoch
    assert losses(tmp_path / "kept") == pytest.approx(losses(tmp_path / "anew"), rel=1e-5)
    for name, weight in weights(tmp_path / "anew").items():
        torch.testing.assert_close(weights(tmp_path / "kept")[name], weight, atol=1e-6, rtol=1e-5, msg=name)


def test_a_resumed_run_finds_the_states_of_the_first_part(folder, tmp_path, encoded):
    train_here(folder, tmp_path / "run", **CHANGES | {"steps": 8, "schedule": "constant"})
    encoded.clear()
    train_here(folder, tmp_path / "run", **CHANGES | {"steps": 12, "schedule": "constant"})
    assert sum(encoded) == 0


@pytest.mark.parametrize(
    "changes", [{"trained": "all"}, {"method": METHOD | {"split_noise_tokens": 4}}, {"tree_cache_bytes": 0}]
)
def test_states_that_change_are_not_kept(folder, tmp_path, changes):
    train_here(folder, tmp_path / "run", **CHANGES | {"steps": 1} | changes)
    assert not (tmp_path / "run" / "trees").exists()

"""An engine on a CPU computes in a dtype that the CPU can multiply in, unless it is told another."""

import logging

import pytest
import torch
from transformers import AutoModelForCausalLM

from sharedllm_core import SharedLLMEngine, SharedLLMForCausalLM
from sharedllm_core.engine import cpu_dtype
from sharedllm_core.engine.loading import load_model
from tests import tiny_engine
from tests.lookup_model import LOOKUP_MODEL


@pytest.fixture
def without_half_precision(monkeypatch):
    """A CPU whose instructions know nothing of half precision, whatever this one is."""
    monkeypatch.setattr(cpu_dtype, "has_native_matmul", lambda dtype: dtype not in (torch.bfloat16, torch.float16))


def test_every_cpu_multiplies_in_float32():
    assert cpu_dtype.has_native_matmul(torch.float32)
    assert isinstance(cpu_dtype.has_native_matmul(torch.bfloat16), bool)


def test_a_checkpoint_computes_in_what_this_cpu_multiplies():
    expected = torch.bfloat16 if cpu_dtype.has_native_matmul(torch.bfloat16) else torch.float32
    assert SharedLLMEngine.from_pretrained(LOOKUP_MODEL, cache=tiny_engine.memory_cache()).model.dtype == expected


@pytest.mark.usefixtures("without_half_precision")
def test_without_half_precision_the_same_weights_compute_in_float32():
    wide = load_model(LOOKUP_MODEL, None, None, None, {})
    saved = SharedLLMForCausalLM.from_pretrained(LOOKUP_MODEL)
    assert wide.dtype == torch.float32
    assert saved.dtype == torch.bfloat16
    assert all(
        torch.equal(one, other.float()) for one, other in zip(wide.parameters(), saved.parameters(), strict=True)
    )


@pytest.mark.usefixtures("without_half_precision")
def test_a_plain_model_computes_in_float32_as_well(bases, tmp_path):
    AutoModelForCausalLM.from_pretrained(bases("llama"), dtype=torch.float16).save_pretrained(tmp_path)
    assert load_model(tmp_path, None, None, None, {}).dtype == torch.float32
    assert load_model(tmp_path, None, None, None, {"dtype": "auto"}).dtype == torch.float16


@pytest.mark.usefixtures("without_half_precision")
@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_dtype_that_is_given_holds(device):
    assert load_model(None, None, device, None, {"dtype": "bfloat16"}).dtype == torch.bfloat16


@pytest.mark.usefixtures("without_half_precision")
def test_weights_that_would_not_fit_stay_and_a_warning_says_so(caplog):
    with caplog.at_level(logging.WARNING, "sharedllm_core"):
        assert cpu_dtype.compute_dtype(torch.bfloat16, 10**14) == torch.bfloat16
    assert "no instructions for bfloat16" in caplog.text
    assert "dtype='float32'" in caplog.text


def test_where_half_precision_is_multiplied_weights_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(cpu_dtype, "has_native_matmul", lambda dtype: True)
    assert cpu_dtype.compute_dtype(torch.bfloat16, 10**6) == torch.bfloat16
    assert cpu_dtype.compute_dtype(torch.float32, 10**14) == torch.float32

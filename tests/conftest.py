"""Tests run offline, on tiny models that are made on the spot, one thread per worker."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest
import torch
from hypothesis import settings

from sharedllm_core.decoding.row_batch import RowBatch
from tests import tiny

torch.set_num_threads(1)
settings.register_profile("sharedllm", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("sharedllm")


@pytest.fixture(scope="session")
def bases(tmp_path_factory):
    """Folder of a tiny base model by name of `tiny.BASES`, made once."""
    folders = {}

    def folder(name):
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("bases") / name
            tiny.make_base(name, folders[name])
        return folders[name]

    return folder


@pytest.fixture
def model(bases):
    """A tiny Llama with an injection that changes the logits, as a trained one would."""
    return tiny.with_injection(bases("llama"))


@pytest.fixture
def rows_of_steps(monkeypatch):
    """The number of rows of each step of the model."""
    counts = []
    step = RowBatch.step

    def counted(batch):
        counts.append(len(batch.rows))
        step(batch)

    monkeypatch.setattr(RowBatch, "step", counted)
    return counts

"""Trees that an earlier version of the library wrote to disk are found by this one."""

import shutil
from pathlib import Path

import pytest
import torch

from tests import tiny_engine
from tests.tree_cache import kept_engine

KEPT = Path(__file__).with_name("kept")
QUESTION = "What is the notice period?"


@pytest.mark.parametrize("name", kept_engine.METHODS)
def test_trees_of_an_earlier_version_are_found_and_hold_the_states_of_this_one(name, tmp_path):
    shutil.copytree(KEPT, tmp_path / "kept")
    old = kept_engine.engine(kept_engine.METHODS[name], kept_engine.cache_in(tmp_path / "kept"))
    library = old.library(kept_engine.DOCUMENT)
    assert old.cached_tokens(library) == library.num_tokens

    new = kept_engine.engine(kept_engine.METHODS[name], tiny_engine.memory_cache())
    found, made = old.past_context(QUESTION, library), new.past_context(QUESTION, library)
    assert found.nodes == made.nodes
    for kept, fresh in zip((*found.keys, *found.values), (*made.keys, *made.values), strict=True):
        torch.testing.assert_close(kept, fresh, rtol=1e-4, atol=1e-5)

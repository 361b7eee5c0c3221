"""A question that reads the retained nodes alone gets what whole trees give, for each method and from any entry."""

from dataclasses import replace

import pytest
import torch

from sharedllm_core import CacheWarning, PastContext, TreeCache
from sharedllm_core.tree_cache import DiskTier
from tests import tiny_engine

QUESTIONS = ["Who signed the lease?", "When is the rent paid?", "What is the ledger number?"]
ONE_BUDGET = replace(tiny_engine.METHOD, policy="lexical", scope="past", finest_compression_ratio=1, min_node_tokens=3)
METHODS = {
    "similarity": tiny_engine.METHOD,
    "right": replace(tiny_engine.METHOD, policy="right"),
    "pooled, two levels": replace(tiny_engine.METHOD, policy="pooled", tree_depth=2),
    "shared": replace(tiny_engine.METHOD, node_encoding="shared"),
    "one budget": ONE_BUDGET,
    "one budget, shared, limited": replace(ONE_BUDGET, node_encoding="shared", max_injected_states=60),
    "positions in chunks": replace(tiny_engine.METHOD, key_positions="local_plus_chunk"),
}


def engine_on_disk(folder, method, **options):
    cache = TreeCache([DiskTier(folder / "trees", "default", 10**8)], **options)
    return tiny_engine.make_engine(tiny_engine.make_checkpoint(folder, method), cache=cache)


def layers(past):
    return torch.stack([torch.stack(past.keys), torch.stack(past.values)])


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_retained_states_are_those_of_whole_trees(tmp_path, name, int8):
    engine = engine_on_disk(tmp_path, METHODS[name], int8=int8)
    library = engine.read(tiny_engine.documents(4))
    reader, fresh = engine._reader, engine.with_cache(TreeCache([]))
    trees = [engine.cache.get(key, reader._origin) for key in reader.keys(library)]
    for question in QUESTIONS:
        past = engine.past_context(question, library)
        whole = PastContext.from_nodes(trees, library.chunk_positions, past.nodes)
        assert torch.equal(layers(past), layers(whole))
        assert past.states_per_node == whole.states_per_node
        assert past.nodes == fresh.past_context(question, library).nodes


@pytest.mark.parametrize("name", METHODS)
def test_entries_grow_with_questions_and_keep_what_they_have(tmp_path, name):
    engine = engine_on_disk(tmp_path, METHODS[name])
    library = engine.library(tiny_engine.documents(4))
    fresh = engine.with_cache(TreeCache([]))
    first = {}
    for question in QUESTIONS:
        first[question] = engine.past_context(question, library)
        alone = fresh.past_context(question, library)
        assert first[question].nodes == alone.nodes
        assert torch.allclose(layers(first[question]), layers(alone), atol=1e-4)
    for question in QUESTIONS:
        assert torch.equal(layers(engine.past_context(question, library)), layers(first[question]))
        assert engine.ask(question, library, max_new_tokens=1).usage.cached_tokens == library.num_tokens


@pytest.mark.parametrize("name", ["similarity", "one budget"])
def test_rot_of_retained_states_is_computed_again(tmp_path, name):
    engine = engine_on_disk(tmp_path, METHODS[name])
    library = engine.read(tiny_engine.documents(4))
    expected = engine.past_context(QUESTIONS[0], library)
    files = sorted((tmp_path / "trees").rglob("*.safetensors"))
    for file in files:
        content = bytearray(file.read_bytes())
        content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
        file.write_bytes(content)
    with pytest.warns(CacheWarning, match="computed again"):
        past = engine.past_context(QUESTIONS[0], library)
    assert past.nodes == expected.nodes
    assert torch.allclose(layers(past), layers(expected), atol=1e-4)

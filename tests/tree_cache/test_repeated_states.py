"""States that nodes of the same tokens have in common are stored once, and come back for each node."""

import pytest
import torch
from safetensors.torch import load

from sharedllm_core import SharedLLMConfig
from sharedllm_core.errors import DamagedEntryError
from sharedllm_core.tree_cache import codec
from tests import tiny
from tests.tree_cache import entries

KEY = entries.key(0)
METHOD = SharedLLMConfig(
    injection_layers=2,
    chunk_tokens=64,
    compression_ratio=4,
    tree_depth=3,
    policy="lexical",
    scope="past",
    min_node_tokens=48,
    finest_compression_ratio=1,
)


@pytest.fixture(scope="module")
def short_tree(bases):
    """A chunk that is too short to be split: every level has the same tokens, and the finest keeps all of them."""
    [tree] = tiny.untrained(bases("llama"), METHOD).encode_nodes(tiny.chunks(50))
    assert {(node.start, node.end) for node in tree.nodes} == {(0, 50)}
    return tree


@pytest.mark.parametrize("int8", [False, True])
def test_a_short_chunk_stores_one_state_for_each_token(short_tree, int8):
    blob = codec.encode(short_tree, KEY, int8=int8)
    assert short_tree.keys.shape[2] > 75
    assert load(blob)["keys"].shape[2] == 50
    codec.check(blob, KEY)
    found = codec.decode(blob, KEY, short_tree.origin)
    assert found.nodes == short_tree.nodes
    assert found.states_per_node == short_tree.states_per_node
    if not int8:
        entries.assert_same(found, short_tree)
    for node in short_tree.nodes:
        assert torch.allclose(found.keep([node]).keys, short_tree.keep([node]).keys, atol=0.05)


def test_states_that_differ_are_all_stored(short_tree):
    changed = codec.decode(codec.encode(short_tree, KEY), KEY, short_tree.origin)
    changed.keys[0, 0, 0, 0] += 1
    blob = codec.encode(changed, KEY)
    assert load(blob)["keys"].shape == changed.keys.shape
    entries.assert_same(codec.decode(blob, KEY, changed.origin), changed)


def test_an_entry_without_repeated_states_has_the_same_format_as_before():
    states = entries.states()
    blob = codec.encode(states, KEY)
    assert b'\\"format\\": 3' in blob
    assert set(load(blob)) == {"keys", "values", "vectors", "token_ids"}


def test_a_damaged_index_is_found(short_tree):
    blob = bytearray(codec.encode(short_tree, KEY))
    start = blob.index(load(bytes(blob))["index"].numpy().tobytes())
    blob[start] ^= 1
    with pytest.raises(DamagedEntryError):
        codec.check(bytes(blob), KEY)

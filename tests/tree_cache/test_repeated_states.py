"""States that nodes of the same tokens have in common are stored once, and come back for each node."""

import pytest
import torch
from safetensors.torch import load

from sharedllm_core import SharedLLMConfig
from sharedllm_core.errors import DamagedEntryError
from sharedllm_core.tree_cache import codec
from sharedllm_core.tree_cache._tier import OpenEntry
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
    assert stored_states(blob) == 50
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
    assert stored_states(blob) > 50
    entries.assert_same(codec.decode(blob, KEY, changed.origin), changed)


def test_an_entry_without_repeated_states_has_those_of_every_node():
    states = entries.states()
    assert stored_states(codec.encode(states, KEY)) == sum(states.states_per_node)


def test_damage_of_shared_states_is_found_by_each_node_that_has_them(short_tree):
    blob = bytearray(codec.encode(short_tree, KEY))
    blob[-1] ^= 1
    entry = OpenEntry(bytes(blob), lambda ranges: [bytes(blob[begin:end]) for begin, end in ranges])
    head = codec.read_head(entry, KEY)
    for node in short_tree.nodes:
        with pytest.raises(DamagedEntryError, match="the part's checksum"):
            codec.read_nodes(entry, head, [node], short_tree.origin)


def stored_states(blob):
    return sum(tensor.shape[2] for name, tensor in load(blob).items() if name.startswith("keys."))

"""Trees as bytes and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load

from sharedllm_core.errors import DamagedEntryError
from sharedllm_core.tree_cache import codec
from sharedllm_core.tree_cache._tier import OpenEntry
from tests.tree_cache import entries

KEY = entries.key(7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("tokens", [64, 33, 5, 1])
def test_what_is_stored_comes_back_bit_for_bit(dtype, tokens):
    states = entries.states(3, dtype, tokens)
    blob = codec.encode(states, KEY)
    codec.check(blob, KEY)
    entries.assert_same(codec.decode(blob, KEY, entries.ORIGIN), states)


def test_any_reader_of_safetensors_opens_an_entry():
    states = entries.states(1)
    tensors = load(codec.encode(states, KEY))
    for number, node in enumerate(states.nodes):
        assert torch.equal(tensors[f"keys.{number}"], states.keep([node]).keys)
        assert torch.equal(tensors[f"values.{number}"], states.keep([node]).values)
    assert torch.equal(tensors["vectors"], states.vectors)
    assert torch.equal(tensors["token_ids"], states.token_ids)


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@given(st.data())
def test_some_nodes_of_an_entry_are_those_of_the_whole_entry(dtype, int8, data):
    blob = codec.encode(entries.states(3, dtype, 33), KEY, int8=int8)
    whole = codec.decode(blob, KEY, entries.ORIGIN)
    nodes = data.draw(st.lists(st.sampled_from(whole.nodes), unique=True))
    read = []
    with ranges_of(blob, read) as entry:
        head = codec.read_head(entry, KEY)
        read.clear()
        some = codec.read_nodes(entry, head, nodes, entries.ORIGIN)
    entries.assert_same(some, whole.keep(nodes))
    assert read == [head.ranges[whole.nodes.index(node)] for node in nodes]


def ranges_of(blob, read):
    """An open entry that records the ranges that are read."""

    def read_ranges(ranges):
        read.extend(ranges)
        return [blob[begin:end] for begin, end in ranges]

    return OpenEntry(blob[:100], read_ranges)


@given(st.integers(0, 10**9), st.integers(0, 7))
def test_a_flipped_bit_is_found_wherever_it_is(place, bit):
    blob = bytearray(entries.blob(2, name=KEY, tokens=16))
    blob[place % len(blob)] ^= 1 << bit
    try:
        codec.check(blob, KEY)
    except DamagedEntryError:
        return
    pytest.fail("every byte belongs to a checksum")


@given(st.integers(0, 10**9))
def test_a_truncated_entry_is_found_wherever_it_ends(place):
    blob = entries.blob(2, name=KEY, tokens=16)
    with pytest.raises(DamagedEntryError):
        codec.check(blob[: place % len(blob)], KEY)


def test_an_entry_under_another_name_is_known_for_what_it_is():
    blob = entries.blob(1, name=KEY)
    for read in (lambda key: codec.check(blob, key), lambda key: codec.decode(blob, key, entries.ORIGIN)):
        read(KEY)
        for other in (entries.key(8), f"{KEY}-partial"):
            with pytest.raises(DamagedEntryError, match="is stored under"):
                read(other)


@given(st.binary(max_size=300))
def test_other_bytes_are_no_entry(noise):
    for read in (lambda blob: codec.check(blob, KEY), lambda blob: codec.decode(blob, KEY, entries.ORIGIN)):
        with pytest.raises(DamagedEntryError):
            read(noise)


def test_int8_takes_less_room_and_loses_little():
    states = entries.states(4, torch.bfloat16, tokens=1024)
    small, whole = codec.encode(states, KEY, int8=True), codec.encode(states, KEY)
    codec.check(small, KEY)
    back = codec.decode(small, KEY, entries.ORIGIN)
    assert back.nodes == states.nodes
    assert back.keys.dtype == torch.bfloat16
    for name in ("keys", "values"):
        a, b = getattr(back, name).float(), getattr(states, name).float()
        assert (a - b).norm() / b.norm() < 0.01
    assert torch.equal(back.vectors, states.vectors), "what is selected does not change"
    assert len(codec.encode(states, KEY, int8=True)) < len(whole)

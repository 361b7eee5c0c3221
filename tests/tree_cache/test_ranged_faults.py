"""Rot, truncation and replacement of entries of which a question reads some nodes: never a wrong answer."""

import os
import threading
import time
import warnings

import pytest

from sharedllm_core.errors import CacheWarning, DamagedEntryError
from sharedllm_core.tree_cache import DiskTier, RemoteTier, TreeCache, codec
from sharedllm_core.tree_cache._tier import OpenEntry
from tests.tree_cache import entries

KEY = entries.key(1)
STATES = entries.states(1, tokens=4096)
BLOB = codec.encode(STATES, KEY)
HEAD = codec.read_head(OpenEntry(BLOB, lambda ranges: [BLOB[begin:end] for begin, end in ranges]), KEY)
READ, UNREAD = STATES.nodes[3:5], STATES.nodes[-1]


def first_byte(node):
    return HEAD.ranges[STATES.nodes.index(node)][0]


def stored(folder, kind="disk"):
    """A cache with one entry, and the entry's file."""
    tier = DiskTier(folder, "one", 10**9) if kind == "disk" else RemoteTier(folder.as_uri(), "one")
    cache = TreeCache([tier])
    cache.put(KEY, STATES)
    [file] = folder.rglob(f"{KEY}*")
    return cache, file


def damage(file, at):
    content = bytearray(file.read_bytes())
    content[at] ^= 4
    file.write_bytes(content)


def read(cache, nodes=READ):
    return cache.get(KEY, entries.ORIGIN, nodes=nodes)


def assert_miss_then_anew(cache, file):
    with pytest.warns(CacheWarning, match="computed again"):
        assert read(cache) is None
    assert not file.exists()
    cache.put(KEY, STATES)
    entries.assert_same(read(cache), STATES.keep(READ))


@pytest.mark.parametrize("kind", ["disk", "remote"])
@pytest.mark.parametrize("node", READ)
def test_rot_in_a_part_that_is_read_is_a_miss(tmp_path, kind, node):
    cache, file = stored(tmp_path, kind)
    damage(file, first_byte(node) + 5)
    assert_miss_then_anew(cache, file)


@pytest.mark.parametrize("kind", ["disk", "remote"])
def test_rot_in_a_part_that_is_not_read_does_not_matter(tmp_path, kind):
    cache, file = stored(tmp_path, kind)
    damage(file, first_byte(UNREAD) + 5)
    entries.assert_same(read(cache), STATES.keep(READ))
    with pytest.warns(CacheWarning, match="computed again"):
        assert read(cache, [UNREAD]) is None


@pytest.mark.parametrize("kind", ["disk", "remote"])
@pytest.mark.parametrize("at", [0, 5, 9, 300, first_byte(STATES.nodes[0]) - 20, first_byte(STATES.nodes[0]) - 1])
def test_rot_in_the_head_is_a_miss(tmp_path, kind, at):
    cache, file = stored(tmp_path, kind)
    damage(file, at)
    assert_miss_then_anew(cache, file)


@pytest.mark.parametrize("kind", ["disk", "remote"])
@pytest.mark.parametrize("size", [0, 7, 100, first_byte(STATES.nodes[0]) - 1, first_byte(READ[1]) + 1])
def test_an_entry_that_ends_before_what_is_read_is_a_miss(tmp_path, kind, size):
    cache, file = stored(tmp_path, kind)
    file.write_bytes(BLOB[:size])
    assert_miss_then_anew(cache, file)


def test_the_entry_of_another_text_is_a_miss(tmp_path):
    cache, file = stored(tmp_path)
    file.write_bytes(entries.blob(2))
    assert_miss_then_anew(cache, file)


def open_entry(cache):
    entry = cache.tiers[0].open(KEY)
    return entry, codec.read_head(entry, KEY)


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_file_that_is_deleted_or_replaced_while_it_is_open_is_read_to_its_end(tmp_path, change):
    cache, file = stored(tmp_path)
    entry, head = open_entry(cache)
    if change == "deleted":
        file.unlink()
    else:
        cache.put(KEY, entries.states(7, tokens=4096))
    with entry:
        entries.assert_same(codec.read_nodes(entry, head, READ, entries.ORIGIN), STATES.keep(READ))


def test_a_file_that_is_cut_off_while_it_is_open_is_damaged(tmp_path):
    cache, file = stored(tmp_path)
    entry, head = open_entry(cache)
    os.truncate(file, first_byte(READ[1]))
    with entry, pytest.raises(DamagedEntryError):
        codec.read_nodes(entry, head, READ, entries.ORIGIN)


def test_an_object_that_is_replaced_between_two_requests_is_read_again(tmp_path, monkeypatch):
    cache, file = stored(tmp_path, "remote")
    other = entries.states(7, tokens=4096)
    parse = codec.read_head

    def replacing(entry, key):
        head = parse(entry, key)
        file.write_bytes(codec.encode(other, KEY))
        return head

    monkeypatch.setattr(codec, "read_head", replacing)
    found = read(cache)
    monkeypatch.undo()
    entries.assert_same(found, other.keep(READ))
    assert cache.stats()["remote"].errors == 0


def test_reading_some_nodes_beside_writers_that_evict_is_right_or_a_miss(tmp_path):
    numbers = range(6)
    blobs = {number: entries.blob(number, name=entries.key(number)) for number in numbers}
    size = max(map(len, blobs.values()))
    nodes = entries.states().nodes[:3]
    until = time.monotonic() + 1

    def write():
        tier = DiskTier(tmp_path, "one", 3 * size)
        while time.monotonic() < until:
            for number in numbers:
                tier.put(entries.key(number), blobs[number])

    writer = threading.Thread(target=write)
    writer.start()
    cache, hits = TreeCache([DiskTier(tmp_path, "one", 3 * size)]), 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while time.monotonic() < until:
            for number in numbers:
                found = cache.get(entries.key(number), entries.ORIGIN, nodes=nodes)
                if found is not None:
                    entries.assert_same(found, entries.states(number).keep(nodes))
                    hits += 1
    writer.join()
    assert hits > 10
    assert cache.stats()["disk"].errors == 0

"""One contract for all tiers, and what is particular to each."""

import os
import stat
import threading
import time
import warnings
from dataclasses import replace

import pytest
import torch

from sharedllm_core.errors import CacheUnavailableError, CacheWarning, DamagedEntryError
from sharedllm_core.tree_cache import DiskTier, MemoryTier, RemoteTier, TreeCache
from tests.tree_cache import entries

SIZE = len(entries.blob())
KINDS = ["memory", "disk", "remote file", "remote memory"]


@pytest.fixture
def open_tier(tmp_path):
    def make(kind, namespace="one", max_bytes=10**9):
        if kind == "memory":
            return MemoryTier(max_bytes)
        if kind == "disk":
            return DiskTier(tmp_path / "disk", namespace, max_bytes)
        if kind == "remote file":
            return RemoteTier(f"file://{tmp_path}/remote", namespace)
        return RemoteTier(f"memory://{tmp_path.name}", namespace)

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_a_tier_returns_the_bytes_that_were_put(open_tier, kind):
    tier = open_tier(kind)
    first, second = entries.key(1), entries.key(2)
    assert tier.get(first) is None
    assert not tier.contains(first)
    tier.put(first, entries.blob(1))
    tier.put(second, entries.blob(2))
    assert bytes(tier.get(first)) == entries.blob(1)
    tier.put(first, entries.blob(3, name=first))
    assert bytes(tier.get(first)) == entries.blob(3, name=first)
    assert set(tier.keys()) == {first, second}
    assert tier.contains(second)
    assert tier.delete(second)
    assert not tier.delete(second)
    assert tier.get(second) is None
    assert tier.clear() == 1
    assert list(tier.keys()) == []
    assert (tier.stats.hits, tier.stats.misses) == (2, 2)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_another_opening_of_a_tier_finds_what_the_first_one_put(open_tier, kind):
    open_tier(kind).put(entries.key(1), entries.blob(1))
    assert bytes(open_tier(kind).get(entries.key(1))) == entries.blob(1)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_namespaces_see_nothing_of_each_other(open_tier, kind):
    mine, theirs = open_tier(kind, "mine"), open_tier(kind, "theirs")
    mine.put(entries.key(1), entries.blob(1))
    assert theirs.get(entries.key(1)) is None
    assert not theirs.contains(entries.key(1))
    assert not theirs.delete(entries.key(1))
    assert list(theirs.keys()) == []
    assert theirs.clear() == 0
    assert mine.contains(entries.key(1))


@pytest.mark.parametrize("kind", KINDS[:2])
def test_the_least_recently_used_entries_go_first(open_tier, kind):
    tier = open_tier(kind, max_bytes=5 * SIZE)
    for number in range(5):
        tier.put(entries.key(number), entries.blob(number))
        time.sleep(0.005)
    tier.get(entries.key(0))
    time.sleep(0.005)
    tier.put(entries.key(5), entries.blob(5))
    kept = {number for number in range(6) if tier.contains(entries.key(number))}
    assert {0, 5} <= kept
    assert 1 not in kept
    assert sum(map(len, (entries.blob(number) for number in kept))) <= 5 * SIZE
    assert tier.stats.evictions == 6 - len(kept)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_an_entry_larger_than_the_tier_is_not_kept(open_tier, kind):
    tier = open_tier(kind, max_bytes=SIZE - 1)
    tier.put(entries.key(0), entries.blob(0))
    assert tier.get(entries.key(0)) is None


def test_eviction_leaves_other_namespaces_alone(open_tier):
    theirs = open_tier("disk", "theirs", max_bytes=2 * SIZE)
    theirs.put(entries.key(0), entries.blob(0))
    mine = open_tier("disk", "mine", max_bytes=2 * SIZE)
    for number in range(10):
        mine.put(entries.key(number), entries.blob(number))
    assert theirs.contains(entries.key(0))


def test_folders_are_for_their_owner_alone_and_hold_no_names(open_tier, tmp_path):
    tier = open_tier("disk", "acme corporation")
    tier.put(entries.key(0), entries.blob(0))
    for folder, _, files in os.walk(tmp_path / "disk"):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        assert "acme" not in folder + "".join(files)


def test_verify_removes_what_is_damaged_and_keeps_the_rest(open_tier):
    tier = open_tier("disk")
    for number in range(4):
        tier.put(entries.key(number), entries.blob(number))
    path = next(tier.folder.rglob(f"{entries.key(2)}*"))
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    found = TreeCache([tier]).verify()
    assert found.sound == 3
    assert found.removed == [entries.key(2)]
    assert not tier.contains(entries.key(2))


@pytest.mark.parametrize("kind", ["disk", "remote file"])
@pytest.mark.parametrize(
    "damage", [lambda blob: b"", lambda blob: blob[:100], lambda blob: blob[:-1] + bytes([blob[-1] ^ 1])]
)
def test_a_damaged_entry_is_deleted_and_never_returned(open_tier, tmp_path, kind, damage):
    tier = open_tier(kind)
    tier.put(entries.key(1), entries.blob(1))
    path = next(tmp_path.rglob(f"{entries.key(1)}*"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedEntryError):
        tier.get(entries.key(1))
    assert not path.exists()
    assert tier.get(entries.key(1)) is None


def test_foreign_files_in_the_folder_are_let_be(open_tier, tmp_path):
    tier = open_tier("disk", max_bytes=2 * SIZE)
    tier.put(entries.key(0), entries.blob(0))
    shelf = next(tier.folder.rglob("*.safetensors")).parent
    foreign = [shelf / "notes.txt", shelf / "model.safetensors", tier.folder / "readme", tmp_path / "disk" / "other"]
    for file in foreign:
        file.write_text("not ours")
    (shelf / f"{entries.key(9)}.safetensors").mkdir()
    for number in range(8):
        tier.put(entries.key(number), entries.blob(number))
    tier.clear()
    assert all(file.read_text() == "not ours" for file in foreign)


def test_abandoned_temporary_files_are_removed_and_young_ones_not(open_tier):
    tier = open_tier("disk", max_bytes=2 * SIZE)
    tier.put(entries.key(0), entries.blob(0))
    old, young = tier.folder / "tmp" / "old", tier.folder / "tmp" / "young"
    for file in (old, young):
        file.write_bytes(b"half an entry")
    os.utime(old, (time.time() - 7200,) * 2)
    for number in range(4):
        tier.put(entries.key(number), entries.blob(number))
    assert not old.exists()
    assert young.exists()


# ------------------------------------------------------------------------------------------------ remote stores


class Unreachable:
    """A store whose every call does `act`; counts them."""

    def __init__(self, act):
        self.act, self.calls = act, 0

    def __getattr__(self, name):
        def call(*_, **__):
            self.calls += 1
            return self.act()

        return call


def refuse():
    raise ConnectionRefusedError("connection refused")


@pytest.mark.parametrize("act", [refuse, lambda: time.sleep(30)])
def test_a_dead_store_costs_one_time_limit_and_not_one_per_entry(act):
    tier = RemoteTier("memory://dead", "one", timeout_s=0.2, closed_s=60)
    store = Unreachable(act)
    tier._open = lambda: (store, "dead")
    begin = time.monotonic()
    for number in range(200):
        with pytest.raises(CacheUnavailableError):
            tier.get(entries.key(number))
    assert store.calls == 1
    assert time.monotonic() - begin < 5


def test_a_store_that_comes_back_is_used_again():
    tier = RemoteTier("memory://comes-back", "one", timeout_s=1, closed_s=0.1)
    tier.put(entries.key(1), entries.blob(1))
    healthy, tier._open = tier._open, lambda: (Unreachable(refuse), "")
    with pytest.raises(CacheUnavailableError):
        tier.get(entries.key(1))
    tier._open = healthy
    with pytest.raises(CacheUnavailableError, match="failed a moment ago"):
        tier.get(entries.key(1))
    time.sleep(0.15)
    assert bytes(tier.get(entries.key(1))) == entries.blob(1)


# ------------------------------------------------------------------------------------------------ all tiers together


def test_a_read_falls_through_and_fills_the_nearer_tiers(open_tier):
    memory, disk, remote = (open_tier(kind) for kind in KINDS[:3])
    remote.put(entries.key(1), entries.blob(1))
    cache = TreeCache([memory, disk, remote])
    entries.assert_same(cache.get(entries.key(1), entries.ORIGIN), entries.states(1))
    assert memory.contains(entries.key(1))
    assert disk.contains(entries.key(1))
    cache.get(entries.key(1), entries.ORIGIN)
    assert (memory.stats.hits, disk.stats.hits, remote.stats.hits) == (1, 0, 1)


@pytest.mark.parametrize("nodes", [None, entries.states().nodes[:3]])
def test_a_tree_in_memory_changes_and_goes_with_its_entry(nodes):
    cache = TreeCache([MemoryTier(2 * SIZE)])
    first, second, third = (entries.key(number) for number in (1, 2, 3))

    def assert_is(number):
        expected = entries.states(number)
        entries.assert_same(
            cache.get(first, entries.ORIGIN, nodes=nodes), expected if nodes is None else expected.keep(nodes)
        )

    cache.put(first, entries.states(1))
    assert_is(1)
    other = replace(entries.ORIGIN, inv_freq=torch.full((4,), 2.0))
    assert cache.get(first, other, nodes=nodes).origin is other, "another model's trees are its own"
    cache.put(first, entries.states(5))
    assert_is(5)
    for key, number in ((second, 2), (third, 3)):
        cache.put(key, entries.states(number))
    assert cache.get(first, entries.ORIGIN, nodes=nodes) is None


def test_a_complete_tree_takes_the_place_of_a_partial_one(open_tier):
    cache = TreeCache([open_tier("memory"), open_tier("disk")])
    whole = entries.states(1)
    some = whole.keep(whole.nodes[:2])
    cache.put(entries.key(1), some, complete=False)
    assert cache.get(entries.key(1), entries.ORIGIN) is None
    entries.assert_same(cache.get(entries.key(1), entries.ORIGIN, complete=False), some)
    cache.put(entries.key(1), whole)
    entries.assert_same(cache.get(entries.key(1), entries.ORIGIN, complete=False), whole)
    assert [tier.stats.entries for tier in cache.tiers[:1]] == [1]
    cache.put(entries.key(1), some, complete=False)
    entries.assert_same(cache.get(entries.key(1), entries.ORIGIN, complete=False), whole)


def test_forgetting_deletes_from_every_tier(open_tier):
    cache = TreeCache([open_tier(kind) for kind in KINDS])
    for number in (1, 2):
        cache.put(entries.key(number), entries.states(number))
    assert cache.forget([entries.key(1), entries.key(7)]) == 1
    assert not any(tier.contains(entries.key(1)) for tier in cache.tiers)
    assert all(tier.contains(entries.key(2)) for tier in cache.tiers)
    cache.clear()
    assert not cache.contains(entries.key(2))


def test_a_tier_that_fails_is_a_miss_and_a_warning(open_tier):
    dead = open_tier("remote memory")
    dead._open = lambda: (Unreachable(refuse), "")
    cache = TreeCache([open_tier("memory"), dead])
    with pytest.warns(CacheWarning, match=r"remote tier: .*connection refused.*computing instead"):
        assert cache.get(entries.key(1), entries.ORIGIN) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one warning a minute is enough
        cache.put(entries.key(1), entries.states(1))
        entries.assert_same(cache.get(entries.key(1), entries.ORIGIN), entries.states(1))
    assert cache.stats()["remote"].errors == 2


def test_threads_may_share_a_cache(open_tier):
    cache = TreeCache([MemoryTier(3 * SIZE), open_tier("disk", max_bytes=6 * SIZE)])
    wrong = []

    def work(seed):
        for step in range(40):
            number = (seed * 7 + step) % 9
            cache.put(entries.key(number), entries.states(number))
            found = cache.get(entries.key((number + 3) % 9), entries.ORIGIN)
            if found is not None and not found.keys.equal(entries.states((number + 3) % 9).keys):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.stats()["memory"].errors == cache.stats()["disk"].errors == 0

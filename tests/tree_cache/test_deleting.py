"""Deleting is not reading: what could not be deleted is said, and everything else is deleted."""

import os
from pathlib import Path

import pytest

from sharedllm_core.errors import InputError, TreeCacheError
from sharedllm_core.tree_cache import DiskTier, MemoryTier, RemoteTier, TreeCache
from tests.tree_cache import entries

NUMBERS = range(6)


def filled(*tiers):
    cache = TreeCache(tiers)
    for number in NUMBERS:
        cache.put(entries.key(number), entries.states(number))
    return cache


def unusable(path, monkeypatch, method):
    """One file fails as a bad sector makes it fail; permissions do not stop a superuser."""
    real = getattr(Path, method)

    def failing(self, *arguments, **options):
        if self == path:
            raise OSError(5, os.strerror(5), str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, method, failing)


@pytest.mark.parametrize("way", ["forget", "clear"])
def test_a_store_that_is_left_alone_for_now_is_no_reason_to_call_it_deleted(tmp_path, way):
    remote = RemoteTier((tmp_path / "far").as_uri(), "one", closed_s=1000.0)
    cache = filled(MemoryTier(10**8), DiskTier(tmp_path, "one", 10**9), remote)
    remote._close()
    keys = [entries.key(number) for number in NUMBERS]
    with pytest.raises(TreeCacheError, match=r"remote tier.*not contacted"):
        cache.forget(keys) if way == "forget" else cache.clear()
    assert not list(cache.tiers[0].keys())
    assert not list(cache.tiers[1].keys())
    remote._closed_until = 0.0
    assert (cache.forget(keys) if way == "forget" else cache.clear()) == len(NUMBERS)
    assert not list(remote.keys())


@pytest.mark.parametrize("way", ["forget", "clear"])
def test_one_file_that_cannot_be_deleted_does_not_keep_the_others(tmp_path, monkeypatch, way):
    disk = DiskTier(tmp_path, "one", 10**9)
    cache = filled(MemoryTier(10**8), disk)
    unusable(disk._path(entries.key(2)), monkeypatch, "unlink")
    with pytest.raises(TreeCacheError, match=r"could not delete 1 of \d+ entries.*5 were deleted, try again"):
        cache.forget([entries.key(number) for number in NUMBERS]) if way == "forget" else cache.clear()
    assert list(disk.keys()) == [entries.key(2)]
    assert not list(cache.tiers[0].keys())


def test_one_file_that_cannot_be_read_is_named_and_the_others_are_verified(tmp_path, monkeypatch):
    disk = DiskTier(tmp_path, "one", 10**9)
    cache = filled(disk)
    disk._path(entries.key(4)).write_bytes(b"rot")
    unusable(disk._path(entries.key(2)), monkeypatch, "read_bytes")
    found = cache.verify()
    assert (found.sound, found.removed, found.unreadable) == (4, [entries.key(4)], [entries.key(2)])


def test_forgetting_what_was_never_there_counts_nothing(tmp_path):
    cache = filled(MemoryTier(10**8), RemoteTier((tmp_path / "far").as_uri(), "one"))
    assert cache.forget([entries.key(99), entries.key(1)]) == 1


def test_what_memory_answers_is_not_what_the_disk_evicts_first(tmp_path):
    size = len(entries.blob())
    cache = TreeCache([MemoryTier(10**8), DiskTier(tmp_path, "one", int(6.5 * size))])
    cache.put(entries.key(0), entries.states(0))
    os.utime(cache.tiers[1]._path(entries.key(0)), (1, 1))
    for number in range(1, 12):
        cache._touched.clear()  # as if minutes had passed
        assert cache.get(entries.key(0), entries.ORIGIN) is not None
        cache.put(entries.key(number), entries.states(number))
    assert cache.tiers[1].contains(entries.key(0))
    assert not cache.tiers[1].contains(entries.key(1))


def test_a_cache_takes_no_tier_of_another_tenant(tmp_path):
    assert TreeCache([MemoryTier(1), DiskTier(tmp_path, "one", 1)]).namespace == "one"
    with pytest.raises(InputError, match=r"namespaces \['one', 'two'\]"):
        TreeCache([DiskTier(tmp_path, "one", 1)], namespace="two")
    with pytest.raises(InputError, match="give all of them the same"):
        TreeCache([DiskTier(tmp_path, "one", 1), RemoteTier("memory://x", "two")])

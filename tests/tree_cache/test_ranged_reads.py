"""A question reads the nodes that it retains, and no other states: from every tier, and with the same result."""

import fsspec
import pytest
import torch

from sharedllm_core.tree_cache import DiskTier, MemoryTier, RemoteTier, TreeCache
from tests.tree_cache import entries

KEY = entries.key(1)
TOKENS = 4096  # an entry of about a megabyte


def tier(kind, folder):
    return {
        "memory": lambda: MemoryTier(10**8),
        "disk": lambda: DiskTier(folder / "disk", "one", 10**9),
        "remote": lambda: RemoteTier((folder / "far").as_uri(), "one"),
    }[kind]()


def whole_then(cache, nodes, **options):
    """The states of some nodes of a whole entry, and what reading them alone gives."""
    whole = cache.get(KEY, entries.ORIGIN, **options)
    return whole.keep(nodes), cache.get(KEY, entries.ORIGIN, nodes=nodes, **options)


@pytest.mark.parametrize("kind", ["memory", "disk", "remote"])
@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_some_nodes_are_those_of_the_whole_tree(tmp_path, kind, int8, dtype):
    cache = TreeCache([tier(kind, tmp_path)], int8=int8)
    states = entries.states(1, dtype, 256)
    cache.put(KEY, states)
    for nodes in ([], states.nodes[:1], states.nodes[::-3], states.nodes):
        entries.assert_same(*whole_then(cache, nodes))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_nodes_that_a_partial_tree_does_not_have_are_left_out(tmp_path, kind):
    cache = TreeCache([tier(kind, tmp_path)])
    states = entries.states(1)
    cache.put(KEY, states.keep(states.nodes[2:7]), complete=False)
    assert cache.get(KEY, entries.ORIGIN, nodes=states.nodes) is None
    found = cache.get(KEY, entries.ORIGIN, complete=False, nodes=states.nodes[5:9])
    entries.assert_same(found, states.keep(states.nodes[5:7]))


@pytest.mark.parametrize("kind", ["memory", "disk", "remote"])
def test_the_head_has_what_selection_needs(tmp_path, kind):
    cache = TreeCache([tier(kind, tmp_path)])
    states = entries.states(1)
    cache.put(KEY, states)
    head, missing = cache.heads([KEY, entries.key(2)])
    assert missing is None
    assert (head.nodes, head.states_per_node, head.vector_nodes) == (
        states.nodes,
        states.states_per_node,
        states.vector_nodes,
    )
    assert torch.equal(head.vectors, states.vectors)
    assert torch.equal(head.token_ids, states.token_ids)
    assert head.has(states.nodes)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_added_nodes_and_vectors_join_those_of_the_cache(tmp_path, kind):
    cache = TreeCache([tier(kind, tmp_path)])
    whole = entries.states(1)
    first, second = whole.nodes[:5], whole.nodes[3:]

    def is_complete(tree):
        return tree.has(whole.nodes)

    for nodes in (first, second):
        cache.add(KEY, whole.keep(nodes), is_complete)
        assert cache.contains(KEY) == (nodes is second)
    entries.assert_same(cache.get(KEY, entries.ORIGIN), whole)
    assert list(cache.tiers[0].keys()) == [KEY]


# ------------------------------------------------------------------------------------------------ remote stores


@pytest.fixture
def requested(monkeypatch):
    """The bytes that are requested of fsspec's store in memory."""
    counted = []
    cat_file = type(fsspec.filesystem("memory")).cat_file

    def counting(self, *arguments, **options):
        content = cat_file(self, *arguments, **options)
        counted.append(len(content))
        return content

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", counting)
    return counted


def test_a_remote_store_is_asked_for_the_head_and_the_nodes_alone(requested, tmp_path):
    remote = RemoteTier(f"memory://{tmp_path.name}", "one")
    cache = TreeCache([remote])
    states = entries.states(1, tokens=TOKENS)
    cache.put(KEY, states)
    entry_bytes = len(remote.get(KEY))
    requested.clear()
    nodes = states.nodes[-2:]
    found = cache.get(KEY, entries.ORIGIN, nodes=nodes)
    entries.assert_same(found, states.keep(nodes))
    assert found.keys.nbytes + found.values.nbytes < sum(requested) < entry_bytes / 3


@pytest.mark.parametrize("support", ["none", "ignored"])
def test_a_store_without_ranges_sends_the_whole_entry(monkeypatch, tmp_path, support):
    cache = TreeCache([RemoteTier(f"memory://{tmp_path.name}", "one")])
    states = entries.states(1, tokens=TOKENS)
    cache.put(KEY, states)
    store = type(fsspec.filesystem("memory"))
    if support == "none":

        def refuse(*_, **__):
            raise NotImplementedError

        monkeypatch.setattr(store, "cat_ranges", refuse)
    else:
        cat_file = store.cat_file
        monkeypatch.setattr(store, "cat_file", lambda self, path, *_, **__: cat_file(self, path))
    nodes = states.nodes[-2:]
    entries.assert_same(cache.get(KEY, entries.ORIGIN, nodes=nodes), states.keep(nodes))
    assert cache.stats()["remote"].errors == 0


def test_a_whole_entry_is_copied_from_a_remote_store_into_the_tiers_before_it(tmp_path):
    cache = TreeCache([tier(kind, tmp_path) for kind in ("memory", "disk", "remote")])
    states = entries.states(1)
    cache.tiers[2].put(KEY, entries.blob(1))
    entries.assert_same(cache.get(KEY, entries.ORIGIN, nodes=states.nodes[:2]), states.keep(states.nodes[:2]))
    assert all(tier.contains(KEY) for tier in cache.tiers)


def test_an_entry_on_disk_is_not_copied_into_memory_for_some_nodes(tmp_path):
    cache = TreeCache([tier(kind, tmp_path) for kind in ("memory", "disk")])
    cache.tiers[1].put(KEY, entries.blob(1))
    nodes = entries.states(1).nodes[:2]
    entries.assert_same(cache.get(KEY, entries.ORIGIN, nodes=nodes), entries.states(1).keep(nodes))
    assert not cache.tiers[0].contains(KEY)
    assert (cache.tiers[1].stats.hits, cache.tiers[0].stats.misses) == (1, 1)

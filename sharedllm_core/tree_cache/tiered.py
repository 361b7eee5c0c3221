"""`TreeCache`: a multi-tier cache of trees, from the fastest tier to the slowest.

A read uses the entry of the first tier that has it. A whole entry that was read is copied into the tiers before that
one. A question reads the retained nodes alone where the tier is the first one or the disk: the system keeps files that
are read often in memory, so a copy in the memory tier would only double them. From a remote store behind other tiers a
whole entry is read once, for these. A failing tier causes a cache miss and a warning, never a wrong answer and never an
error: missing trees are computed again.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CacheWarning, DamagedEntryError, InputError, TreeCacheError
from ..method.context_tree import Node
from ..model.node_states import NewStates, NodeStates, StateOrigin
from ..model.tree_head import TreeHead
from . import codec
from ._tier import Blob, Tier, TierStats, Verification
from .disk import DiskTier, default_folder
from .memory import MemoryTier
from .remote import RemoteTier

__all__ = ["TreeCache", "Verification"]

_T = TypeVar("_T")
_PARTIAL = "-partial"  # suffix of the key of a partial tree, which has only the nodes that some questions retained
_WARN_EVERY_S = 60.0
_READERS = 8
_TOUCH_EVERY_S = 300.0
_MAX_TOUCH_TIMES = 100_000


class TreeCache:
    """Cache of the trees of one namespace, in several tiers; for keys see `TreeKeys`.

    Args:
        tiers: the tiers, fastest first.
        namespace: namespace of the tenant, part of every key; by default that of the tiers.
        int8: quantize states to 8-bit integers; lossy, about half the bytes of bfloat16.

    Raises:
        InputError: the tiers have different namespaces.
    """

    def __init__(self, tiers: Sequence[Tier], *, namespace: str | None = None, int8: bool = False) -> None:
        names = {name for name in (namespace, *(tier.namespace for tier in tiers)) if name is not None}
        if len(names) > 1:
            raise InputError(
                f"the cache and its tiers have the namespaces {sorted(names)}", remedy="give all of them the same"
            )
        self.tiers = list(tiers)
        self.namespace = names.pop() if names else "default"
        self.int8 = int8
        self._warned_at: dict[str, float] = {}
        self._touched: dict[str, float] = {}

    @classmethod
    def default(
        cls,
        *,
        namespace: str = "default",
        memory_bytes: int = 2 * 10**9,
        disk_bytes: int = 20 * 10**9,
        folder: str | Path | None = None,
        remote_url: str | None = None,
        remote_options: dict[str, Any] | None = None,
        int8: bool = False,
    ) -> "TreeCache":
        """Make a cache with a memory and a disk tier, and a remote tier if a URL is given.

        Args:
            namespace: namespace of the tenant.
            memory_bytes: size limit in memory, in bytes; 0 for no memory tier.
            disk_bytes: size limit of this namespace on disk, in bytes; 0 for no disk tier.
            folder: folder of the disk tier; by default SHAREDLLM_CACHE_DIR, or the user's cache folder.
            remote_url: any fsspec URL.
            remote_options: options of `RemoteTier`: timeouts, and options of the file system.
            int8: see `TreeCache`.
        """
        tiers: list[Tier] = []
        if memory_bytes:
            tiers.append(MemoryTier(memory_bytes))
        if disk_bytes:
            tiers.append(DiskTier(Path(folder) if folder else default_folder(), namespace, disk_bytes))
        if remote_url:
            tiers.append(RemoteTier(remote_url, namespace, **(remote_options or {})))
        return cls(tiers, namespace=namespace, int8=int8)

    def get(
        self,
        key: str,
        origin: StateOrigin,
        *,
        complete: bool = True,
        nodes: Sequence[Node] | None = None,
        new_states: NewStates | None = None,
    ) -> NodeStates | None:
        """Return the tree of `key`, or `None` on a cache miss.

        Args:
            key: from `TreeKeys.chunk_key`.
            origin: the model that the key belongs to.
            complete: return only a tree with all its nodes; otherwise also one with the nodes that earlier questions
                retained.
            nodes: read the states of these nodes alone, by ranges of bytes; those that the entry does not have are
                left out. By default all nodes are read.
            new_states: makes the tensors that the states of `nodes` are read into, where they are read by ranges.
        """
        if nodes is None:
            read = partial(self._read_whole, origin=origin)
        else:
            read = partial(self._read_nodes, nodes=nodes, origin=origin, new_states=new_states)
        return self._first(key, read, complete=complete)

    def get_many(
        self,
        keys: Sequence[str],
        origin: StateOrigin,
        *,
        complete: bool = True,
        nodes: Sequence[Sequence[Node]] | None = None,
        new_states: Sequence[NewStates | None] | None = None,
    ) -> list[NodeStates | None]:
        """Get many trees.

        Args:
            keys: see `get`.
            origin: see `get`.
            complete: see `get`.
            nodes: for each key the nodes to read, see `get`.
            new_states: for each key, see `get`.

        Returns:
            The tree of each key, or `None` on a cache miss.
        """
        wanted = [None] * len(keys) if nodes is None else nodes
        places = [None] * len(keys) if new_states is None else new_states

        def read(number: int) -> NodeStates | None:
            own, new = wanted[number], places[number]
            return self.get(keys[number], origin, complete=complete, nodes=own, new_states=new)

        return self._read_each(keys, read)

    def heads(self, keys: Sequence[str]) -> list[TreeHead | None]:
        """Return the nodes and selection vectors of many trees, complete or not; `None` for a cache miss.

        Args:
            keys: see `get`.
        """
        return self._read_each(keys, lambda number: self._first(keys[number], self._read_head, complete=False))

    def add(self, key: str, states: NodeStates, is_complete: Callable[[NodeStates], bool]) -> None:
        """Store nodes and selection vectors of a tree together with those that the cache already has.

        Args:
            key: see `get`.
            states: the nodes and vectors to add.
            is_complete: whether a tree has all its nodes.
        """
        known = self.get(key, states.origin, complete=False)
        tree = states if known is None else known.merged(states.to("cpu"))
        self.put(key, tree, complete=is_complete(tree))

    def put(self, key: str, states: NodeStates, *, complete: bool = True) -> None:
        """Store a tree in every tier; a complete tree replaces the partial one."""
        name = key if complete else key + _PARTIAL
        if not (tiers := self._tiers_for(name)):
            return
        self._put(tiers, name, codec.encode(states, name, int8=self.int8))
        if complete:
            for tier in self._tiers_for(key + _PARTIAL):
                self._try(tier, lambda tier=tier: tier.delete(key + _PARTIAL))  # type: ignore[misc]

    def contains(self, key: str) -> bool:
        """Whether any tier has the complete tree of `key`."""
        return any(self._try(tier, lambda tier=tier: tier.contains(key)) for tier in self.tiers)  # type: ignore[misc]

    def forget(self, keys: Sequence[str]) -> int:
        """Delete trees from every tier and return how many of `keys` were cached.

        Raises:
            TreeCacheError: a tier could not delete some entries; all others were deleted.
        """
        names = [name for key in keys for name in (key, key + _PARTIAL)]
        held = {key for key in keys if any(self._has_tree(tier, key) for tier in self.tiers)}
        self._delete_in_every_tier(lambda tier: tier.delete_all(names if tier.keeps_partial else list(keys)))
        return len(held)

    def clear(self) -> int:
        """Delete all entries of this namespace from every tier.

        Returns:
            The number of entries deleted from the tier that had the most.

        Raises:
            TreeCacheError: see `forget`.
        """
        return max(self._delete_in_every_tier(lambda tier: tier.clear()), default=0)

    def verify(self) -> Verification:
        """Verify the checksum of every entry on disk; damaged ones are deleted, and computed again when needed."""
        total = Verification(0, [], [])
        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                found = tier.verify()
                total.sound += found.sound
                total.removed += found.removed
                total.unreadable += found.unreadable
        return total

    def stats(self) -> dict[str, TierStats]:
        """Return the statistics of each tier, by its name."""
        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                self._try(tier, tier.measure)
        return {tier.name: tier.stats for tier in self.tiers}

    # ---------------------------------------------------------------------------------------------- inside

    def _read_each(self, keys: Sequence[str], read: Callable[[int], _T]) -> list[_T]:
        """Call `read` with the number of each key, in threads where latencies overlap: not for entries in memory."""
        with ThreadPoolExecutor(_READERS, thread_name_prefix="sharedllm-cache") as readers:
            waiting = [
                None if self._is_in_memory(key) else readers.submit(read, number) for number, key in enumerate(keys)
            ]
            return [read(number) if one is None else one.result() for number, one in enumerate(waiting)]

    def _is_in_memory(self, key: str) -> bool:
        first = self.tiers[0] if self.tiers else None
        return first is not None and not first.has_latency and (first.contains(key) or first.contains(key + _PARTIAL))

    def _first(self, key: str, read: Callable[[Tier, int, str], _T | None], *, complete: bool) -> _T | None:
        """Return what `read` returns for the first tier with an entry; it gets the tier, its number and the key."""
        for name in (key,) if complete else (key, key + _PARTIAL):
            for number, tier in enumerate(self._tiers_for(name)):
                found = self._try(tier, partial(read, tier, number, name))
                if found is not None:
                    self._touch(number, name)
                    return found
        return None

    def _read_whole(self, tier: Tier, number: int, name: str, origin: StateOrigin) -> NodeStates | None:
        """Read a whole entry, and copy it into the tiers before this one."""
        if (blob := tier.get(name)) is None:
            return None
        try:
            states = codec.decode(blob, name, origin)
        except DamagedEntryError:
            self._try(tier, lambda: tier.delete(name))
            raise
        self._put(self.tiers[:number], name, blob)
        return states

    def _read_nodes(
        self,
        tier: Tier,
        number: int,
        name: str,
        nodes: Sequence[Node],
        origin: StateOrigin,
        new_states: NewStates | None,
    ) -> NodeStates | None:
        """Read the states of some nodes by ranges of bytes, or the whole entry where earlier tiers shall have it."""
        if not (number and tier.fills_earlier_tiers):
            entry = tier.open(name)
            if entry is None:
                tier.stats.misses += 1
                return None
            # Also an entry of an earlier format; and one that was replaced between two requests, which is sound.
            with entry, suppress(DamagedEntryError):
                states = codec.read_nodes(entry, codec.read_head(entry, name), nodes, origin, new_states)
                tier.stats.hits += 1
                return states
        whole = self._read_whole(tier, number, name, origin)
        return None if whole is None else whole.keep([node for node in nodes if whole.has([node])])

    def _read_head(self, tier: Tier, number: int, name: str) -> TreeHead | None:
        if not (number and tier.fills_earlier_tiers):
            entry = tier.open(name)
            if entry is None:
                return None
            with entry, suppress(DamagedEntryError):
                return codec.read_head(entry, name).tree
        blob = tier.get(name)
        if blob is None:
            return None
        head = codec.decode_head(blob, name)
        self._put(self.tiers[:number], name, blob)
        return head

    def _tiers_for(self, key: str) -> list[Tier]:
        return [tier for tier in self.tiers if tier.keeps_partial] if key.endswith(_PARTIAL) else self.tiers

    def _put(self, tiers: Sequence[Tier], key: str, blob: Blob) -> None:
        for tier in tiers:
            self._try(tier, lambda tier=tier: tier.put(key, blob))  # type: ignore[misc]

    def _delete_in_every_tier(self, delete: Callable[[Tier], int]) -> list[int]:
        """Run `delete` on every tier; unlike a failed read, a failure is raised, after all tiers were tried."""
        deleted, failed = [], []
        for tier in self.tiers:
            try:
                deleted.append(delete(tier))
            except Exception as error:  # any error of a disk or a network
                failed.append(f"{tier.name} tier: {error}")
        if failed:
            raise TreeCacheError("; ".join(failed))
        return deleted

    def _has_tree(self, tier: Tier, key: str) -> bool:
        return any(self._try(tier, lambda name=name: tier.contains(name)) for name in (key, key + _PARTIAL))  # type: ignore[misc]

    def _touch(self, number: int, name: str) -> None:
        """Record a use in the tiers after `number`, so that their LRU order follows the hits of earlier tiers.

        At most once per `_TOUCH_EVERY_S` for each entry.
        """
        now = time.monotonic()
        if now - self._touched.get(name, -1e9) < _TOUCH_EVERY_S:
            return
        if len(self._touched) > _MAX_TOUCH_TIMES:
            self._touched.clear()
        self._touched[name] = now
        for tier in self.tiers[number + 1 :]:
            tier.touch(name)

    def _try(self, tier: Tier, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except Exception as error:  # any error of a disk or a network
            self._record_failure(tier, error)
            return None

    def _record_failure(self, tier: Tier, error: Exception) -> None:
        tier.stats.errors += 1
        if not isinstance(error, DamagedEntryError):  # warn of every damaged entry, but seldom of a dead tier
            if time.monotonic() - self._warned_at.get(tier.name, -1e9) < _WARN_EVERY_S:
                return
            self._warned_at[tier.name] = time.monotonic()
        warning = CacheWarning(f"tree cache, {tier.name} tier: {error}", remedy="computing instead")
        warnings.warn(warning, stacklevel=4)

"""`TreeCache`: trees of chunks by content, through tiers from near to far.

A read falls through to the first tier that has the entry, and fills the tiers before it. A tier that fails is a miss
and a warning, never a wrong answer and never an error: what is not in the cache is computed again.
"""

import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path

from ..errors import CacheWarning, DamagedEntryError, InputError, TreeCacheError
from ..model.node_states import NodeStates, StateOrigin
from . import codec
from ._tier import Blob, Tier, TierStats, Verification
from .disk import DiskTier
from .memory import MemoryTier
from .remote import RemoteTier

__all__ = ["TreeCache", "Verification"]

_T = TypeVar("_T")
_PARTIAL = "-partial"  # suffix of the key under which retained nodes alone are kept
_WARN_EVERY_S = 60.0
_READERS = 8
_TOUCH_EVERY_S = 300.0
_TOUCHES_KNOWN = 100_000


class TreeCache:
    """Trees of one namespace, by key (see `TreeKeys`), in tiers from near to far.

    Args:
        tiers: the nearest first.
        namespace: of the tenant; it is a part of every key. By default that of the tiers.
        int8: store states as 8-bit whole numbers: about half the bytes of bfloat16, and a loss.

    Raises:
        InputError: a tier of another namespace.
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
        """Memory and disk, and a remote store if one is named.

        Args:
            namespace: of the tenant.
            memory_bytes: the most bytes in memory; 0 for no memory tier.
            disk_bytes: the most bytes on disk, of this namespace; 0 for no disk tier.
            folder: of the disk tier; by default SHAREDLLM_CACHE_DIR, or the user's cache folder.
            remote_url: any fsspec URL.
            remote_options: of `RemoteTier`: time limits, and what the file system takes.
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

    def get(self, key: str, origin: StateOrigin, *, complete: bool = True) -> NodeStates | None:
        """The tree of `key`, for the model of `origin`, or `None`.

        Args:
            key: of `TreeKeys.of_chunk`.
            origin: of the model whose keys these are.
            complete: only a tree with all its nodes; otherwise one with the nodes that some question retained will do.
        """
        for name in (key,) if complete else (key, key + _PARTIAL):
            for number, tier in enumerate(self._tiers_for(name)):
                blob = self._try(tier, lambda tier=tier, name=name: tier.get(name))  # type: ignore[misc]
                if blob is None:
                    continue
                try:
                    states = self._decoded(tier, name, blob, origin)
                except DamagedEntryError as error:
                    self._failed(tier, error)
                    self._try(tier, lambda tier=tier, name=name: tier.delete(name))  # type: ignore[misc]
                    continue
                self._put(self.tiers[:number], name, blob)
                self._touch(number, name)
                return states
        return None

    def get_many(self, keys: Sequence[str], origin: StateOrigin, *, complete: bool = True) -> list[NodeStates | None]:
        """`get` for many keys: what is in memory at once, the rest side by side, so that latencies do not add up."""
        near = [tier for tier in self.tiers[:1] if isinstance(tier, MemoryTier)]
        found = [self.get(key, origin) if any(tier.contains(key) for tier in near) else None for key in keys]
        if far := [number for number, states in enumerate(found) if states is None]:
            with ThreadPoolExecutor(_READERS, thread_name_prefix="sharedllm-cache") as readers:
                others = readers.map(lambda number: self.get(keys[number], origin, complete=complete), far)
                for number, states in zip(far, others, strict=True):
                    found[number] = states
        return found

    def put(self, key: str, states: NodeStates, *, complete: bool = True) -> None:
        """Keep a tree in every tier; one with all its nodes takes the place of one with some."""
        name = key if complete else key + _PARTIAL
        if not (tiers := self._tiers_for(name)):
            return
        self._put(tiers, name, codec.encode(states, name, int8=self.int8))
        if complete:
            for tier in self._tiers_for(key + _PARTIAL):
                self._try(tier, lambda tier=tier: tier.delete(key + _PARTIAL))  # type: ignore[misc]

    def contains(self, key: str) -> bool:
        """Whether some tier has the complete tree of `key`."""
        return any(self._try(tier, lambda tier=tier: tier.contains(key)) for tier in self.tiers)  # type: ignore[misc]

    def forget(self, keys: Sequence[str]) -> int:
        """Delete trees from every tier; how many of `keys` were there.

        Raises:
            TreeCacheError: a tier could not delete some, and says why. The others have deleted theirs.
        """
        names = [name for key in keys for name in (key, key + _PARTIAL)]
        held = {key for key in keys if any(self._holds(tier, key) for tier in self.tiers)}
        self._in_every_tier(lambda tier: tier.delete_all(names if tier.keeps_partial else list(keys)))
        return len(held)

    def clear(self) -> int:
        """Delete everything of this namespace from every tier; how many entries the fullest had.

        Raises:
            TreeCacheError: see `forget`.
        """
        return max(self._in_every_tier(lambda tier: tier.clear()), default=0)

    def verify(self) -> Verification:
        """Compare every entry on disk with its checksum; damaged ones are removed, to be made again."""
        whole = Verification(0, [], [])
        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                found = tier.verify()
                whole.sound += found.sound
                whole.removed += found.removed
                whole.unreadable += found.unreadable
        return whole

    def stats(self) -> dict[str, TierStats]:
        """Statistics by tier."""
        for tier in self.tiers:
            if isinstance(tier, DiskTier):
                self._try(tier, tier.measure)
        return {tier.name: tier.stats for tier in self.tiers}

    # ---------------------------------------------------------------------------------------------- inside

    def _decoded(self, tier: Tier, name: str, blob: Blob, origin: StateOrigin) -> NodeStates:
        """The tree that bytes of a tier hold; one in memory is decoded once, and not for every question."""
        # With int8, what is decoded is no view but a copy, and would take more room than the entry.
        if not isinstance(tier, MemoryTier) or self.int8:
            return codec.decode(blob, name, origin)
        tree = tier.tree(name, blob)
        if tree is None or tree.origin is not origin:
            tree = codec.decode(blob, name, origin)
            tier.keep_tree(name, blob, tree)
        return tree

    def _tiers_for(self, key: str) -> list[Tier]:
        return [tier for tier in self.tiers if tier.keeps_partial] if key.endswith(_PARTIAL) else self.tiers

    def _put(self, tiers: Sequence[Tier], key: str, blob: Blob) -> None:
        for tier in tiers:
            self._try(tier, lambda tier=tier: tier.put(key, blob))  # type: ignore[misc]

    def _in_every_tier(self, delete: Callable[[Tier], int]) -> list[int]:
        """Deleting is no reading: what fails is not a miss. Every tier is tried, and then it is said."""
        deleted, failed = [], []
        for tier in self.tiers:
            try:
                deleted.append(delete(tier))
            except Exception as error:  # whatever a disk or a network does
                failed.append(f"{tier.name} tier: {error}")
        if failed:
            raise TreeCacheError("; ".join(failed))
        return deleted

    def _holds(self, tier: Tier, key: str) -> bool:
        return any(self._try(tier, lambda name=name: tier.contains(name)) for name in (key, key + _PARTIAL))  # type: ignore[misc]

    def _touch(self, number: int, name: str) -> None:
        """Tell farther tiers of a use, now and then, so that what is used most is not what they evict first."""
        now = time.monotonic()
        if now - self._touched.get(name, -1e9) < _TOUCH_EVERY_S:
            return
        if len(self._touched) > _TOUCHES_KNOWN:
            self._touched.clear()
        self._touched[name] = now
        for tier in self.tiers[number + 1 :]:
            tier.touch(name)

    def _try(self, tier: Tier, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except Exception as error:  # whatever a disk or a network does
            self._failed(tier, error)
            return None

    def _failed(self, tier: Tier, error: Exception) -> None:
        tier.stats.errors += 1
        if not isinstance(error, DamagedEntryError):  # a damaged entry is news each time; a dead tier is not
            if time.monotonic() - self._warned_at.get(tier.name, -1e9) < _WARN_EVERY_S:
                return
            self._warned_at[tier.name] = time.monotonic()
        warning = CacheWarning(f"tree cache, {tier.name} tier: {error}", remedy="computing instead")
        warnings.warn(warning, stacklevel=4)


def default_folder() -> Path:
    """Where trees are kept on disk: SHAREDLLM_CACHE_DIR, or the user's cache folder."""
    chosen = os.environ.get("SHAREDLLM_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("sharedllm") / "trees"

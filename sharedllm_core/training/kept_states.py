"""States of documents that a frozen lower model makes once: kept in a tree cache between steps, epochs and runs."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..method.context_tree import Node
from ..model import encoding
from ..model.lower_model import LowerModel
from ..model.node_states import NodeStates
from ..tree_cache import TreeCache, TreeKeys

__all__ = ["KeptStates"]

_MEMORY_BYTES = 10**9


class KeptStates:
    """Encodes nodes, unless the tree cache has them.

    Args:
        lower: the lower model; its weights must not change.
        folder: of the cache.
        max_bytes: size limit of the cache on disk.
    """

    def __init__(self, lower: LowerModel, folder: Path, max_bytes: int) -> None:
        self._lower = lower
        self._cache = TreeCache.default(folder=folder, disk_bytes=max_bytes, memory_bytes=_MEMORY_BYTES)
        self._keys = TreeKeys(lower, self._cache.namespace)
        self._origin = lower.origin()

    @torch.no_grad()
    def encode(self, chunks: Sequence[Tensor], nodes: Sequence[Sequence[Node]]) -> list[NodeStates]:
        """Return the states of some nodes of each chunk; the lower model runs for those not in the cache.

        Args:
            chunks: ids of each [l].
            nodes: of each chunk.
        """
        keys = [self._keys.chunk_key(chunk) for chunk in chunks]
        known = self._cache.get_many(keys, self._origin, complete=False, nodes=nodes)
        trees = encoding.encode_missing(self._lower, chunks, known, nodes)
        for key, before, tree in zip(keys, known, trees, strict=True):
            if before is None:
                self._cache.put(key, tree, complete=encoding.is_complete(tree, self._lower.method))
            elif tree is not before:
                self._cache.add(key, tree, lambda tree: encoding.is_complete(tree, self._lower.method))
        return [tree.keep(of_chunk).to(self._lower.device) for tree, of_chunk in zip(trees, nodes, strict=True)]

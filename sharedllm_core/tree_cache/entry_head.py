"""`EntryHead`: what the head of an entry says about it, and where its parts are."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from ..model.tree_head import TreeHead

__all__ = ["ByteRange", "EntryHead", "PartLayout"]

#: First byte and end, counted from the beginning of an entry.
ByteRange = tuple[int, int]


class PartLayout(NamedTuple):
    """One array of a part: its name, its type, its shape, and its first byte, counted from that of the part."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int


class EntryHead:
    """The head of an entry.

    Args:
        tree: what selection needs.
        dtype: of the states when they are read.
        shape: M, K and D of the states.
        int8: whether the states are quantized.
        stored_in: for each node the number of the node whose part has its states.
        checksums: of the parts, by the number of the node.
        first_part: first byte of the parts, counted from the beginning of the entry.
    """

    def __init__(
        self,
        tree: TreeHead,
        dtype: torch.dtype,
        shape: tuple[int, int, int],
        *,
        int8: bool,
        stored_in: tuple[int, ...],
        checksums: dict[int, str],
        first_part: int,
    ) -> None:
        self.tree = tree
        self.dtype = dtype
        self.shape = shape
        self.int8 = int8
        self.stored_in = stored_in
        self.checksums = checksums
        self._first_part = first_part

    @cached_property
    def ranges(self) -> dict[int, ByteRange]:
        """Where the parts are, by the number of the node."""
        layers, heads, head_size = self.shape
        state_bytes = 2 * layers * heads * (head_size + 4 if self.int8 else head_size * self.dtype.itemsize)
        ranges, begin = {}, self._first_part
        for number in self.checksums:
            end = begin + state_bytes * self.tree.states_per_node[number]
            ranges[number] = begin, end
            begin = end
        return ranges

    def part_layout(self, number: int) -> list[PartLayout]:
        """Return the arrays of a node's part, in their order: float32 scales, and int8 or the bytes of `dtype`."""
        layers, heads, head_size = self.shape
        outer = (layers, heads, self.tree.states_per_node[number])
        kinds: list[tuple[str, np.dtype, int]]
        if self.int8:
            scale, numbers = np.dtype(np.float32), np.dtype(np.int8)
            kinds = [("keys_scale", scale, 1), ("values_scale", scale, 1)]
            kinds += [("keys", numbers, head_size), ("values", numbers, head_size)]
        else:
            row_bytes = head_size * self.dtype.itemsize  # as bytes: numpy has no bfloat16
            kinds = [("keys", np.dtype(np.uint8), row_bytes), ("values", np.dtype(np.uint8), row_bytes)]
        layouts: list[PartLayout] = []
        begin = 0
        for name, dtype, last in kinds:
            layouts.append(PartLayout(name, dtype, (*outer, last), begin))
            begin += layers * heads * outer[2] * last * dtype.itemsize
        return layouts

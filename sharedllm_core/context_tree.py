"""Context trees: how a chunk is split, and which nodes are retained (paper, section 3.2). Pure arithmetic, no torch.

Nodes are spans of tokens inside their chunk. The model enters only as a function: `select` is asked, once per level
and for all chunks together, which half of each split node is split further.
"""

from collections.abc import Callable, Sequence
from math import floor
from typing import NamedTuple

__all__ = ["Node", "Select", "all_nodes", "retained_nodes", "split", "whole_chunk"]


class Node(NamedTuple):
    """Tokens `start` to `end` (exclusive) of chunk number `chunk`, at `level` of its tree (0 is the whole chunk)."""

    chunk: int
    level: int
    start: int
    end: int

    @property
    def length(self) -> int:
        """Tokens in the node."""
        return self.end - self.start


#: Given (left, right) pairs, says for each whether the right half is split further.
Select = Callable[[Sequence[tuple[Node, Node]]], Sequence[bool]]


def whole_chunk(chunk: int, length: int) -> Node:
    """The root of the tree of chunk number `chunk`, `length` tokens long."""
    return Node(chunk, 0, 0, length)


def split(node: Node, noise_tokens: float = 0.0) -> tuple[Node, Node]:
    """Split a node of m ≥ 2 tokens at ⌊m/2 − ε⌋, both halves keeping at least one token.

    Args:
        node: the node to split.
        noise_tokens: ε, in tokens; 0 when answering.
    """
    assert node.length >= 2, "a node of fewer than two tokens is never split"
    at = min(max(floor(node.length / 2 - noise_tokens), 1), node.length - 1)
    middle = node.start + at
    child = node._replace(level=node.level + 1)
    return child._replace(end=middle), child._replace(start=middle)


def retained_nodes(
    chunks: Sequence[Node],
    depth: int,
    select: Select,
    noise: Callable[[], float] | None = None,
) -> list[list[Node]]:
    """The retained nodes of each chunk, from coarse to fine; they tile the chunk exactly.

    Args:
        chunks: the roots, each of at least one token.
        depth: h, the number of levels below the root.
        select: the selection policy, called at most once per level with the pairs of all chunks.
        noise: draws ε, in tokens, for all splits of a level; `None` splits in the middle. Chunks share it so that their
            nodes are of equal length and the lower model reads them together.
    """
    retained: list[list[Node]] = [[] for _ in chunks]
    current: dict[int, Node] = dict(enumerate(chunks))
    for level in range(1, depth + 1):
        noise_tokens = noise() if noise else 0.0
        halves = {i: split(node, noise_tokens) for i, node in current.items() if node.length >= 2}
        if level == depth:
            current = {i: node for i, node in current.items() if i not in halves}
            for i, pair in halves.items():
                retained[i] += pair
            break
        selects_right = select(list(halves.values())) if halves else []
        for (i, (left, right)), is_right in zip(halves.items(), selects_right, strict=True):
            current[i], other = (right, left) if is_right else (left, right)
            retained[i].append(other)
    for i, node in current.items():  # too short to be split to the last level
        retained[i].append(node)
    return retained


def all_nodes(chunk: Node, depth: int) -> list[Node]:
    """Every node that some choice of halves retains, coarse levels first: 2 + 4 + … + 2^h for a full chunk."""
    if depth == 0 or chunk.length < 2:
        return [chunk]
    nodes: list[Node] = []
    level = [chunk]
    for _ in range(depth):
        level = [half for node in level if node.length >= 2 for half in split(node)]
        nodes += level
    return nodes

"""Context trees: how a chunk is split, and which nodes are retained (paper, section 3.2). Pure arithmetic, no torch.

Nodes are spans of tokens inside their chunk. The model enters only as a function: `select` is asked, once per level
and for all chunks together, which half of each split node is split further.

Beyond the paper, a chunk may have borders, places where it is good to split (ends of sentences), and a budget may be
shared by all chunks (`best_first.py`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from math import ceil, floor
from typing import NamedTuple

from .config import SampleAt, SharedLLMConfig

__all__ = [
    "Borders",
    "Node",
    "Select",
    "WholeTree",
    "all_nodes",
    "finer",
    "kept_tokens",
    "num_states",
    "retained_nodes",
    "split",
    "whole_chunk",
    "whole_tree",
]

#: Of each chunk the places where it is good to split, ascending: tokens that begin a sentence.
Borders = Sequence[Sequence[int]]


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


def split(node: Node, noise_tokens: float = 0.0, borders: Borders = ()) -> tuple[Node, Node]:
    """Split a node of m ≥ 2 tokens at ⌊m/2 − ε⌋, both halves keeping at least one token.

    Args:
        node: the node to split.
        noise_tokens: ε, in tokens; 0 when answering.
        borders: of all chunks. The border nearest to that place is taken instead of it, where one is at most a quarter
            of the node away; of two equally near the first.
    """
    assert node.length >= 2, "a node of fewer than two tokens is never split"
    at = min(max(floor(node.length / 2 - noise_tokens), 1), node.length - 1)
    middle = node.start + at
    if borders:
        middle = _nearest(borders[node.chunk], middle, node.length // 4, node)
    child = node._replace(level=node.level + 1)
    return child._replace(end=middle), child._replace(start=middle)


def finer(node: Node, least: int = 1, borders: Borders = ()) -> tuple[Node, ...]:
    """What stands for a node one level deeper: its halves, or itself if they would have fewer than `least` tokens."""
    if node.length >= 2 * least:
        return split(node, borders=borders)
    return (node._replace(level=node.level + 1),)


def _nearest(places: Sequence[int], middle: int, reach: int, node: Node) -> int:
    low = bisect_left(places, max(middle - reach, node.start + 1))
    high = bisect_right(places, min(middle + reach, node.end - 1))
    return min(places[low:high], key=lambda place: (abs(place - middle), place), default=middle)


def retained_nodes(
    chunks: Sequence[Node],
    depth: int,
    select: Select,
    noise: Callable[[], float] | None = None,
    borders: Borders = (),
) -> list[list[Node]]:
    """The retained nodes of each chunk, from coarse to fine; they tile the chunk exactly.

    Args:
        chunks: the roots, each of at least one token.
        depth: h, the number of levels below the root.
        select: the selection policy, called at most once per level with the pairs of all chunks.
        noise: draws ε, in tokens, for all splits of a level; `None` splits in the middle. Chunks share it so that their
            nodes are of equal length and the lower model reads them together.
        borders: see `split`.
    """
    retained: list[list[Node]] = [[] for _ in chunks]
    current: dict[int, Node] = dict(enumerate(chunks))
    for level in range(1, depth + 1):
        noise_tokens = noise() if noise else 0.0
        halves = {i: split(node, noise_tokens, borders) for i, node in current.items() if node.length >= 2}
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


class WholeTree(NamedTuple):
    """Every node of a chunk that some choice retains, the root among them. It depends on no question.

    Attributes:
        nodes: coarse levels first; the first is the root.
        finer: of each node that can be split what stands for it one level deeper.
        leaves: the nodes that cannot, in the order of the text.
    """

    nodes: tuple[Node, ...]
    finer: dict[Node, tuple[Node, ...]]
    leaves: tuple[Node, ...]

    def retainable(self, *, root: bool) -> tuple[Node, ...]:
        """What some question retains: `nodes`, with the root only where a whole chunk may be retained, or is a leaf."""
        return self.nodes if root or len(self.nodes) == 1 else self.nodes[1:]


def whole_tree(root: Node, depth: int, least: int = 1, borders: Borders = ()) -> WholeTree:
    """The tree below a root of at least one token.

    Args:
        root: the chunk.
        depth: h, the number of levels below it.
        least: tokens; see `finer`.
        borders: see `split`.
    """
    nodes, parts_of = [root], dict[Node, tuple[Node, ...]]()
    level = [root]
    for _ in range(depth):
        for node in level:
            if node.length >= 2:
                parts_of[node] = finer(node, least, borders)
        level = [part for node in level for part in parts_of.get(node, ())]
        nodes += level
    leaves = sorted((node for node in nodes if node not in parts_of), key=lambda node: node.start)
    return WholeTree(tuple(nodes), parts_of, tuple(leaves))


def all_nodes(chunk: Node, depth: int, *, root: bool = False, least: int = 1, borders: Borders = ()) -> list[Node]:
    """Every node that some choice of halves retains, coarse levels first: 2 + 4 + … + 2^h for a full chunk.

    Args:
        chunk: the root.
        depth: h.
        root: whether the whole chunk may be retained, as best-first search does.
        least: tokens; see `finer`.
        borders: see `split`.
    """
    return list(whole_tree(chunk, depth, least, borders).retainable(root=root))


def num_states(length: int, level: int, config: SharedLLMConfig) -> int:
    """k = max(1, ⌈m / α_w⌉): states kept of a node of `length` tokens at `level`."""
    return max(1, ceil(length / config.level_compression_ratio(level)))


def kept_tokens(length: int, states: int, sample_at: SampleAt) -> list[int]:
    """The places in the node, from 0, of the tokens whose states are kept: `states` of `length`, at fractional steps.

    `interval_start` keeps ⌊i m / k⌋. `interval_end` keeps ⌊(i+1) m / k⌋ − 1: a causal state knows only what stands
    before it, so that with starts nobody has seen the text after the last kept token.
    """
    if sample_at == "interval_start":
        return [i * length // states for i in range(states)]
    return [(i + 1) * length // states - 1 for i in range(states)]

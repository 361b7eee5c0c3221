"""Context trees: splits, retained nodes, and downsampling (paper, section 3.2). Pure arithmetic, no torch.

A node is a span of tokens inside its chunk. Which chunk that is, the node does not know: lists and mappings by chunk
number do. The model enters only as a function: `select` is called once per level, for all chunks together, and returns
which half of each split node is split further.

Beyond the paper, a chunk may have borders, preferred split points (ends of sentences), and one budget may be shared by
all chunks (`best_first.py`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor
from typing import NamedTuple

from .config import SampleAt, SharedLLMConfig

__all__ = [
    "Borders",
    "Node",
    "Pair",
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

#: Preferred split points of one chunk, ascending: tokens that begin a sentence.
Borders = Sequence[int]


class Node(NamedTuple):
    """Tokens `start` to `end` (exclusive) of a chunk, at `level` of its tree (0 is the whole chunk)."""

    level: int
    start: int
    end: int

    @property
    def length(self) -> int:
        """Tokens in the node."""
        return self.end - self.start


#: The left and the right half of one node.
Pair = tuple[Node, Node]

#: Given pairs by the number of their chunk, returns for each, in the same order, whether the right half is selected.
Select = Callable[[Mapping[int, Pair]], Sequence[bool]]


def whole_chunk(length: int) -> Node:
    """The root of the tree of a chunk of `length` tokens."""
    return Node(0, 0, length)


def split(node: Node, noise_tokens: float = 0.0, borders: Borders = ()) -> Pair:
    """Split a node of m ≥ 2 tokens at ⌊m/2 − ε⌋; both halves keep at least one token.

    Args:
        node: the node to split.
        noise_tokens: ε, in tokens; 0 when answering.
        borders: of the node's chunk. The border nearest to that point is used instead if it is at most a quarter of the
            node away; of two equally near, the first.
    """
    assert node.length >= 2, "a node of fewer than two tokens is never split"
    at = min(max(floor(node.length / 2 - noise_tokens), 1), node.length - 1)
    middle = _nearest(borders, node.start + at, node.length // 4, node)
    return Node(node.level + 1, node.start, middle), Node(node.level + 1, middle, node.end)


def finer(node: Node, least: int = 1, borders: Borders = ()) -> tuple[Node, ...]:
    """The node one level deeper: its halves, or the node itself if those would have fewer than `least` tokens."""
    if node.length >= 2 * least:
        return split(node, borders=borders)
    return (node._replace(level=node.level + 1),)


def _nearest(borders: Borders, middle: int, reach: int, node: Node) -> int:
    low = bisect_left(borders, max(middle - reach, node.start + 1))
    high = bisect_right(borders, min(middle + reach, node.end - 1))
    return min(borders[low:high], key=lambda border: (abs(border - middle), border), default=middle)


def retained_nodes(
    chunks: Sequence[Node],
    depth: int,
    select: Select,
    noise: Callable[[], float] | None = None,
    borders: Sequence[Borders] = (),
) -> list[list[Node]]:
    """The retained nodes of each chunk, from coarse to fine; they tile the chunk exactly.

    Args:
        chunks: the roots, each of at least one token.
        depth: h, the number of levels below the root.
        select: the selection policy, called at most once per level with the pairs of all chunks.
        noise: draws ε, in tokens, for all splits of a level; `None` splits in the middle. Chunks share it so that their
            nodes are of equal length and the lower model batches them.
        borders: of each chunk; empty for none.
    """
    retained: list[list[Node]] = [[] for _ in chunks]
    current: dict[int, Node] = dict(enumerate(chunks))
    for level in range(1, depth + 1):
        noise_tokens = noise() if noise else 0.0
        pairs = {
            i: split(node, noise_tokens, borders[i] if borders else ())
            for i, node in current.items()
            if node.length >= 2
        }
        if level == depth:
            current = {i: node for i, node in current.items() if i not in pairs}
            for i, pair in pairs.items():
                retained[i] += pair
            break
        selects_right = select(pairs) if pairs else []
        for (i, (left, right)), is_right in zip(pairs.items(), selects_right, strict=True):
            current[i], other = (right, left) if is_right else (left, right)
            retained[i].append(other)
    for i, node in current.items():  # too short to be split to the last level
        retained[i].append(node)
    return retained


class WholeTree(NamedTuple):
    """Every node of a chunk that some question may retain, including the root. The same for every question.

    Attributes:
        nodes: coarse levels first; the first is the root.
        finer: for each node that can be split, its nodes one level deeper.
        leaves: the nodes that cannot be split, in the order of the text.
    """

    nodes: tuple[Node, ...]
    finer: dict[Node, tuple[Node, ...]]
    leaves: tuple[Node, ...]

    def retainable(self, *, root: bool) -> tuple[Node, ...]:
        """`nodes` without the root, unless whole chunks may be retained (`root`) or the root is the only node."""
        return self.nodes if root or len(self.nodes) == 1 else self.nodes[1:]


def whole_tree(root: Node, depth: int, least: int = 1, borders: Borders = ()) -> WholeTree:
    """The tree below a root of at least one token.

    Args:
        root: the chunk.
        depth: h, the number of levels below it.
        least: tokens; see `finer`.
        borders: of the chunk; see `split`.
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
        borders: of the chunk; see `split`.
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

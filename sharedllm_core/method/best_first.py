"""Best-first search over the trees of all chunks, which share one budget of states (beyond the paper).

Pure arithmetic, no torch: the score of a leaf and the cost of a node are functions that the caller passes.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate

from .context_tree import Node, WholeTree

__all__ = ["Scores", "best_nodes"]

#: Given a chunk's number and some of its nodes, returns the score of each: 0 or more.
Scores = Callable[[int, Sequence[Node]], Sequence[float]]


def best_nodes(
    trees: Sequence[WholeTree],
    scores: Scores,
    size: Callable[[Node], int],
    budget: int,
    min_score_share: float = 0.0,
    limit: int | None = None,
) -> list[list[Node]]:
    """The nodes to retain of each tree; they tile its chunk, or there are none.

    Every chunk begins as one node. The node above the best leaf is replaced by its finer nodes, level by level, down to
    that leaf, then towards the next best one, as long as all retained nodes together stay within the budget. Leaves
    that score 0 are never opened.

    Args:
        trees: of all chunks.
        scores: scores leaves.
        size: the states that retaining a node costs.
        budget: the states of all retained nodes. The roots are retained even if they cost more.
        min_score_share: the share of the best leaf's score that a leaf must have to be opened.
        limit: a hard limit on the states of all retained nodes. Half of it is for roots: if all of them cost more, the
            trees with the lowest scores are left out (of equal ones the last). One tree is always retained.
    """
    roots = [tree.nodes[0] for tree in trees]
    of_leaves = [scores(number, tree.leaves) for number, tree in enumerate(trees)]
    best_of_tree = [max(of_tree) for of_tree in of_leaves]
    kept = set(range(len(trees)))
    if limit is not None:
        kept = _best_that_fit(best_of_tree, [size(root) for root in roots], limit // 2)
    retained: list[set[Node]] = [{root} if number in kept else set() for number, root in enumerate(roots)]
    left = budget - sum(size(roots[number]) for number in kept)
    enough = min_score_share * max(best_of_tree, default=0.0)
    # Most trees have no leaf worth opening, and are skipped.
    opened = [number for number in sorted(kept) if best_of_tree[number] > 0 and best_of_tree[number] >= enough]
    below = {number: _best_below(trees[number], of_leaves[number]) for number in opened}
    # Of equal scores the deeper node first, so that a path is followed to its leaf before the next one begins.
    waiting = [(-best_of_tree[number], 0, number, roots[number]) for number in opened]
    heapify(waiting)
    while waiting:
        negative, _, number, node = heappop(waiting)
        if negative == 0 or -negative < enough:
            break
        parts = trees[number].finer.get(node)
        if parts is None:
            continue
        cost = sum(map(size, parts)) - size(node)
        if cost > left:
            continue
        left -= cost
        retained[number] = (retained[number] - {node}) | set(parts)
        for part in parts:
            heappush(waiting, (-below[number][part], -part.level, number, part))
    return [sorted(nodes, key=lambda node: (node.level, node.start)) for nodes in retained]


def _best_that_fit(scores: Sequence[float], costs: Sequence[int], room: int) -> set[int]:
    """The numbers of the best-scoring entries (of equal ones the first) that fit into `room`; at least one."""
    order = sorted(range(len(scores)), key=lambda number: (-scores[number], number))
    together = accumulate(costs[number] for number in order)
    return {number for number, cost in zip(order, together, strict=True) if cost <= room or number == order[0]}


def _best_below(tree: WholeTree, of_leaves: Sequence[float]) -> dict[Node, float]:
    """For each node the score of the best leaf below it."""
    best = dict(zip(tree.leaves, of_leaves, strict=True))
    for node in reversed(tree.nodes):  # deep levels first
        if node not in best:
            best[node] = max(best[part] for part in tree.finer[node])
    return best

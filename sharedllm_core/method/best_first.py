"""Best-first search over the trees of all chunks, which share one budget of states (beyond the paper).

Pure arithmetic, no torch: what a leaf has to say, and what a node costs, are functions of the caller's.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate

from .context_tree import Node, WholeTree

__all__ = ["Scores", "best_nodes"]

#: Of a chunk, by its number, how much each of some nodes has to say: numbers of 0 or more.
Scores = Callable[[int, Sequence[Node]], Sequence[float]]


def best_nodes(
    trees: Sequence[WholeTree],
    scores: Scores,
    size: Callable[[Node], int],
    budget: int,
    worth: float = 0.0,
    limit: int | None = None,
) -> list[list[Node]]:
    """Nodes to retain of each tree; they tile its chunk, or there are none.

    Every chunk begins as one node. The node above the best leaf is replaced by what is finer, again and again, down to
    that leaf and then to the next best one, as long as all retained nodes together keep within the budget. A leaf that
    scores 0 is never looked for.

    Args:
        trees: of all chunks.
        scores: how much leaves have to say.
        size: what retaining a node costs.
        budget: what all retained nodes may cost. The roots are retained even where they cost more.
        worth: the share of the best leaf's score that a leaf must have to be looked for.
        limit: what all retained nodes may cost for certain. Half of it is for roots: where all of them cost more, those
            of the trees that score least are left out, of equal ones the last. One tree's is always retained.
    """
    roots = [tree.nodes[0] for tree in trees]
    of_leaves = [scores(number, tree.leaves) for number, tree in enumerate(trees)]
    best_of_tree = [max(of_tree) for of_tree in of_leaves]
    kept = set(range(len(trees)))
    if limit is not None:
        kept = _best_that_fit(best_of_tree, [size(root) for root in roots], limit // 2)
    retained: list[set[Node]] = [{root} if number in kept else set() for number, root in enumerate(roots)]
    left = budget - sum(size(roots[number]) for number in kept)
    enough = worth * max(best_of_tree, default=0.0)
    # Most trees hold nothing that is looked for, and are never opened.
    looked_for = [number for number in sorted(kept) if best_of_tree[number] > 0 and best_of_tree[number] >= enough]
    below = {number: _best_below(trees[number], of_leaves[number]) for number in looked_for}
    # Of equal scores the deeper node first: a path that was begun is gone to its end before another one begins.
    waiting = [(-best_of_tree[number], 0, number, roots[number]) for number in looked_for]
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
    """The numbers of those that score best, of equal ones the first, as many as there is room for; at least one."""
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

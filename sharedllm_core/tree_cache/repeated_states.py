"""Nodes whose states another node of the tree has as well, so that an entry stores these once.

Nodes of the same tokens at several levels keep more or fewer states of one run of the lower model. A chunk that is too
short to be split has all its levels so, and half of its states are repeated.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch

from ..method.context_tree import Node, kept_tokens
from ..model.node_states import NodeStates

__all__ = ["places_in_holder", "stored_in"]


def stored_in(states: NodeStates) -> list[int]:
    """Return for each node the number of the node whose states include its own; usually its own number.

    Only exactly equal states count as repeated.
    """
    ends = list(accumulate(states.states_per_node))
    # The node of each span that keeps every token.
    holders = {
        (node.start, node.end): number
        for number, (node, count) in enumerate(zip(states.nodes, states.states_per_node, strict=True))
        if count == node.length
    }
    numbers = []
    for number, (node, count, end) in enumerate(zip(states.nodes, states.states_per_node, ends, strict=True)):
        holder = holders.get((node.start, node.end), number)
        if holder != number:
            first = ends[holder] - states.states_per_node[holder]
            same = [first + place for place in places_in_holder(node, count, states)]
            if not _are_equal(states, range(end - count, end), same):
                holder = number
        numbers.append(holder)
    return numbers


def places_in_holder(node: Node, count: int, states: NodeStates) -> list[int]:
    """Return the places, from 0, of a node's `count` states among those of a node that keeps every token."""
    return kept_tokens(node.length, count, states.origin.method.sample_at)


def _are_equal(states: NodeStates, first: Sequence[int], second: Sequence[int]) -> bool:
    at = [torch.tensor(list(indices), device=states.keys.device) for indices in (first, second)]
    return all(torch.equal(*(part.index_select(2, index) for index in at)) for part in (states.keys, states.values))

"""States that several nodes of a tree have in common, so that an entry stores each once.

Nodes of the same tokens at several levels keep more or fewer states of one run of the lower model. A chunk that is too
short to be split has all its levels so, and half of its states are repeated.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..method.context_tree import kept_tokens
from ..model.node_states import NodeStates

__all__ = ["StoredOnce", "without_repeated"]

# Suffixes: M injection layers, K key/value heads, S states, U states without repeated ones, D head size.


@dataclass(frozen=True)
class StoredOnce:
    """The states of an entry without repeated ones.

    Attributes:
        keys: [M, K, U, D].
        values: [M, K, U, D].
        index: for each state of the entry its place among the U states, int32 [S].
    """

    keys: Tensor
    values: Tensor
    index: Tensor


def without_repeated(states: NodeStates) -> StoredOnce | None:
    """Find the states of nodes that another node of the same tokens holds as well; `None` if there are none.

    Only exactly equal states count as repeated.
    """
    starts = [0]
    for count in states.states_per_node:
        starts.append(starts[-1] + count)
    # The node of each span that keeps every token.
    holders = {
        (node.start, node.end): number
        for number, (node, count) in enumerate(zip(states.nodes, states.states_per_node, strict=True))
        if count == node.length
    }
    source = torch.arange(starts[-1])
    for number, (node, count) in enumerate(zip(states.nodes, states.states_per_node, strict=True)):
        holder = holders.get((node.start, node.end), number)
        if holder == number:
            continue
        places = torch.tensor(kept_tokens(node.length, count, states.origin.method.sample_at))
        source[starts[number] : starts[number + 1]] = starts[holder] + places
    repeated = source != torch.arange(len(source))
    if not repeated.any() or not _are_equal(states, repeated.nonzero()[:, 0], source[repeated]):
        return None
    kept = (~repeated).nonzero()[:, 0]
    place = torch.zeros(len(source), dtype=torch.int32)
    place[kept] = torch.arange(len(kept), dtype=torch.int32)
    on_device = kept.to(states.keys.device)
    return StoredOnce(states.keys.index_select(2, on_device), states.values.index_select(2, on_device), place[source])


def _are_equal(states: NodeStates, first: Tensor, second: Tensor) -> bool:
    first, second = first.to(states.keys.device), second.to(states.keys.device)
    return all(
        torch.equal(part.index_select(2, first), part.index_select(2, second)) for part in (states.keys, states.values)
    )

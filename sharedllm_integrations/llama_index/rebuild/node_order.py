"""The order of a document's nodes: by their relationships to neighbours, and by offsets where they have none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llama_index.core.schema import BaseNode, NodeRelationship, RelatedNodeInfo, TextNode

__all__ = ["Placed", "StandIn", "in_order", "offset", "parent_id", "related", "without_descendants"]


class StandIn(TextNode):
    """Replaces a parent node that was not given; its text is joined from its parts.

    It has relationships only to neighbours that name it.
    """


@dataclass(frozen=True)
class Placed:
    """A node in its document's order.

    Attributes:
        node: the node.
        follows: whether it directly follows the node before it, or is the first one; `None` if unknown.
        ends: whether it names no next node; `None` if another node follows it here, or if unknown.
    """

    node: BaseNode
    follows: bool | None
    ends: bool | None = None


def related(node: BaseNode, relation: NodeRelationship) -> RelatedNodeInfo | None:
    """Return the one node that is related to a node in this way, if there is one."""
    found = node.relationships.get(relation)
    return found if isinstance(found, RelatedNodeInfo) else None


def parent_id(node: BaseNode) -> str | None:
    """Return the id of the node that a hierarchical parser split this one from, if there is one."""
    parent = related(node, NodeRelationship.PARENT)
    return None if parent is None else parent.node_id


def offset(node: BaseNode) -> int | None:
    """Return a node's offset in its document, if known; parts of a parent have offsets within the parent."""
    start: int | None = None if parent_id(node) else getattr(node, "start_char_idx", None)
    return start


def without_descendants(nodes: Sequence[BaseNode]) -> list[BaseNode]:
    """Return the nodes that are not part of another one."""
    covering = {node.node_id for node in nodes} | _child_ids(nodes)
    return [node for node in nodes if parent_id(node) not in covering]


def _child_ids(nodes: Sequence[BaseNode]) -> set[str]:
    children = (node.relationships.get(NodeRelationship.CHILD) for node in nodes)
    return {child.node_id for listed in children if isinstance(listed, list) for child in listed}


def in_order(nodes: Sequence[BaseNode], start: Callable[[BaseNode], int | None] = offset) -> list[Placed]:
    """Put nodes in their document's order.

    Args:
        nodes: of one document, none inside another.
        start: a node's offset, in the text that holds them all.
    """
    by_id = {node.node_id: node for node in nodes}
    behind: dict[str, str] = {}
    for node in nodes:
        after, before = related(node, NodeRelationship.NEXT), related(node, NodeRelationship.PREVIOUS)
        if after is not None and after.node_id in by_id:
            behind[node.node_id] = after.node_id
        if before is not None and before.node_id in by_id:
            behind[before.node_id] = node.node_id
    placed: list[Placed] = []
    for chain in _sorted(_chains(by_id, behind), start):
        placed += _placed(chain, is_first=not placed)
    return placed


def _chains(by_id: dict[str, BaseNode], behind: dict[str, str]) -> list[list[BaseNode]]:
    followers = set(behind.values())
    chains: list[list[BaseNode]] = []
    seen: set[str] = set()
    # A circle has no first node: its nodes come last, from wherever it is entered.
    for name in [*(name for name in by_id if name not in followers), *by_id]:
        chain: list[BaseNode] = []
        current: str | None = name
        while current is not None and current not in seen:
            seen.add(current)
            chain.append(by_id[current])
            current = behind.get(current)
        if chain:
            chains.append(chain)
    return chains


def _sorted(chains: list[list[BaseNode]], start: Callable[[BaseNode], int | None]) -> list[list[BaseNode]]:
    """Sort chains by the first offset in each; one without offsets stays after the chain before it."""
    keys: list[int] = []
    for chain in chains:
        starts = (start(node) for node in chain)
        first = next((at for at in starts if at is not None), None)
        keys.append(first if first is not None else keys[-1] if keys else 0)
    return [chain for _, chain in sorted(zip(keys, chains, strict=True), key=lambda pair: pair[0])]


def _placed(chain: list[BaseNode], is_first: bool) -> list[Placed]:
    before = related(chain[0], NodeRelationship.PREVIOUS)
    after = related(chain[-1], NodeRelationship.NEXT)
    # The first part of a parent names no previous node, though another parent's part may precede it.
    linked = not parent_id(chain[0]) and (len(chain) > 1 or before is not None or after is not None)
    follows: bool | None = None
    is_known = before is not None or not isinstance(chain[0], StandIn)
    if linked and is_known and (is_first or before is not None):  # a second first node starts a second split
        follows = before is None
    placed = [Placed(chain[0], follows), *(Placed(node, True) for node in chain[1:])]
    ends = None if after is None and isinstance(chain[-1], StandIn) else after is None
    placed[-1] = Placed(placed[-1].node, placed[-1].follows, ends)
    return placed

"""Joins the nodes of one document, from any levels of a hierarchy.

Nodes of one parent are joined first, since their offsets and neighbours are relative to it. If a neighbour of the
parent is given and names it, the parent's place is known, and a stand-in with the joined text is placed there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, NodeRelationship, RelatedNodeInfo

from .joining import Missing, Rebuilt, rebuild
from .node_order import Placed, StandIn, in_order, offset, parent_id, related
from .node_text import start_of, text_of
from .placing import Piece
from .reordering import reordered

__all__ = ["Part", "found_in", "stitched"]


@dataclass(frozen=True)
class Part:
    """A node, and where its text stands in its document's `content`."""

    node_id: str
    start: int
    end: int


def stitched(nodes: Sequence[BaseNode]) -> tuple[Rebuilt, tuple[Part, ...]]:
    """Join nodes of one document.

    Args:
        nodes: in any order, none inside another.

    Returns:
        The text, and where each node stands in it.
    """
    inside: dict[str, tuple[Rebuilt, tuple[Part, ...]]] = {}
    left = list(nodes)
    while family := _family_with_a_place(left):
        joined = _joined_family(in_order(family, start_of))
        stand_in = _stand_in(family, left, joined[0].text)
        inside[stand_in.node_id] = joined
        members = {node.node_id for node in family}
        left = [*(node for node in left if node.node_id not in members), stand_in]
    rebuilt, parts = _joined(left)
    return _opened(rebuilt, parts, inside)


def _opened(
    rebuilt: Rebuilt, parts: Sequence[Part], inside: dict[str, tuple[Rebuilt, tuple[Part, ...]]]
) -> tuple[Rebuilt, tuple[Part, ...]]:
    """Replace the stand-ins among the parts of a text by the nodes inside them."""
    opened: list[Part] = []
    blanks, missing, certain = list(rebuilt.blanks), list(rebuilt.missing), rebuilt.certain
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        if part.node_id not in inside:
            opened.append(part)
            continue
        text, own = inside[part.node_id]
        waiting += [Part(one.node_id, part.start + one.start, part.start + one.end) for one in own]
        if not rebuilt.confirmed:
            blanks += [(part.start + low, part.start + high) for low, high in text.blanks]
            missing += [replace(one, at=part.start + one.at) for one in text.missing]
            certain = certain and text.certain
    opened.sort(key=lambda part: (part.start, part.end))
    missing.sort(key=lambda one: one.at)
    return replace(rebuilt, blanks=tuple(sorted(blanks)), missing=tuple(missing), certain=certain), tuple(opened)


# -------------------------------------------------------------------------------------------------- stand-ins


def _family_with_a_place(nodes: Sequence[BaseNode]) -> list[BaseNode]:
    """The nodes of one parent that a neighbour of the parent names; an empty list if there is no such parent.

    Such a parent may itself be a neighbour of another parent's parts: parents whose parts name no other parent come
    first.
    """
    families: dict[str, list[BaseNode]] = {}
    for node in nodes:
        if name := parent_id(node):
            families.setdefault(name, []).append(node)
    named = {name for node in nodes for name in _neighbours(node) if name in families}
    for name in sorted(named):
        if not any(other in families for node in families[name] for other in _neighbours(node)):
            return families[name]
    return []


def _neighbours(node: BaseNode) -> list[str]:
    found = (related(node, relation) for relation in (NodeRelationship.PREVIOUS, NodeRelationship.NEXT))
    return [info.node_id for info in found if info is not None]


def _stand_in(family: Sequence[BaseNode], nodes: Sequence[BaseNode], text: str) -> StandIn:
    one = family[0]
    name = parent_id(one) or ""
    source = related(one, NodeRelationship.SOURCE)
    relationships: dict[NodeRelationship, Any] = {} if source is None else {NodeRelationship.SOURCE: source}
    for node in nodes:
        for there, here in (
            (NodeRelationship.NEXT, NodeRelationship.PREVIOUS),
            (NodeRelationship.PREVIOUS, NodeRelationship.NEXT),
        ):
            info = related(node, there)
            if info is not None and info.node_id == name:
                relationships[here] = RelatedNodeInfo(node_id=node.node_id)
                if parent := related(node, NodeRelationship.PARENT):
                    relationships[NodeRelationship.PARENT] = parent
    stand_in = StandIn(id_=name, text=text, relationships=relationships)
    stand_in.metadata = one.metadata
    return stand_in


# -------------------------------------------------------------------------------------------------- text


def _joined(nodes: Sequence[BaseNode]) -> tuple[Rebuilt, tuple[Part, ...]]:
    ordered = in_order(nodes)
    families: dict[str, list[Placed]] = {}
    for placed in ordered:
        families.setdefault(parent_id(placed.node) or placed.node.node_id, []).append(placed)
    # Parts of one parent have offsets in the same text, so they can be compared.
    families = {
        name: in_order([placed.node for placed in family], start_of) if len(family) > 1 else family
        for name, family in families.items()
    }
    inner = [_joined_family(family) for family in families.values()]
    pieces = [
        Piece(text.text, offset(family[0].node), family[0].follows)
        for family, (text, _) in zip(families.values(), inner, strict=True)
    ]
    check = _check(ordered[0].node, NodeRelationship.SOURCE)
    rebuilt = rebuild(pieces, check)
    loose = [family for family in families.values() if parent_id(family[0].node) is not None]
    if not rebuilt.confirmed and len(loose) == len(pieces):  # the order of the parents is unknown
        rebuilt = reordered(tuple(pieces), check) or rebuilt
    parts = tuple(
        Part(part.node_id, at + part.start, at + part.end)
        for at, (_, own) in zip(rebuilt.places, inner, strict=True)
        for part in own
    )
    if rebuilt.confirmed:
        return replace(rebuilt, missing=()), parts
    within = [(at, text) for at, (text, _) in zip(rebuilt.places, inner, strict=True) if text.blanks or text.missing]
    blanks = [*rebuilt.blanks, *((at + low, at + high) for at, text in within for low, high in text.blanks)]
    missing = [*rebuilt.missing, *(replace(one, at=at + one.at) for at, text in within for one in text.missing)]
    if ordered[-1].ends is False:
        missing.append(Missing(len(rebuilt.text), None))
    # Parts without their parent, and a stand-in without neighbours, do not tell whether the document goes on.
    is_open = (
        bool(loose) or ordered[-1].ends is None or (isinstance(ordered[0].node, StandIn) and ordered[0].follows is None)
    )
    certain = rebuilt.certain and not is_open and all(text.certain for text, _ in inner)
    return replace(rebuilt, blanks=tuple(sorted(blanks)), missing=tuple(missing), certain=certain), parts


def _joined_family(family: Sequence[Placed]) -> tuple[Rebuilt, tuple[Part, ...]]:
    """The text of nodes of one parent, and their places in it; of a node without a parent, its own text."""
    text = _family(family)
    return text, tuple(
        Part(placed.node.node_id, at, at + len(text_of(placed.node)))
        for at, placed in zip(text.places, family, strict=True)
    )


def _family(family: Sequence[Placed]) -> Rebuilt:
    """The text of nodes of one parent; of a node without a parent, its own text."""
    if parent_id(family[0].node) is None:
        return Rebuilt(text_of(family[0].node), (0,))
    check = _check(family[0].node, NodeRelationship.PARENT)
    pieces = [Piece(text_of(placed.node), start_of(placed.node), placed.follows) for placed in family]
    pieces[0] = replace(pieces[0], follows=True)  # what precedes it belongs to another parent
    without = [replace(piece, start=None) for piece in pieces]
    # Some parsers give offsets in the whole document here; these fit worse than none.
    tried = [rebuild(pieces, check), rebuild(without, check)]
    best = next((text for text in tried if text.confirmed), tried[(pieces[0].start or 0) > 0])
    # Unless the parent's hash confirms the text, its last parts may be missing.
    return replace(best, missing=()) if best.confirmed else replace(best, certain=False)


def found_in(content: str, nodes: Sequence[BaseNode]) -> tuple[Part, ...]:
    """Find nodes in a text that holds them; one that is not found gets an empty range."""
    parts: list[Part] = []
    reached = 0
    for placed in in_order(nodes):
        text, start = text_of(placed.node), start_of(placed.node)
        if start is None or not content.startswith(text, start):
            start = content.find(text, reached)
            start = content.find(text) if start < 0 else start
        parts.append(Part(placed.node.node_id, max(start, 0), max(start, 0) + (len(text) if start >= 0 else 0)))
        reached = max(start, 0)
    return tuple(parts)


# -------------------------------------------------------------------------------------------------- hashes


@dataclass(frozen=True)
class _Original:
    """Recognises the text of a related node by the hash in the relationship."""

    hash: str
    shown: str  # metadata as `Node.hash` has them
    metadata: str  # and as `TextNode.hash` does

    def __call__(self, text: str) -> bool:
        of_document = "-".join([*([self.shown] if self.shown else []), _hash(text)])
        return self.hash in (_hash(of_document), _hash(text + self.metadata))


def _check(node: BaseNode, relation: NodeRelationship) -> _Original | None:
    info = related(node, relation)
    if info is None or not info.hash:
        return None
    shown = node.model_copy(update={"metadata": info.metadata}).get_metadata_str(MetadataMode.ALL)
    return _Original(info.hash, shown, str(info.metadata))


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""Nodes to the whole documents that they came from: each text once, in order, with its metadata once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from llama_index.core.schema import BaseNode, ImageNode, MetadataMode, Node, NodeRelationship, TextNode

from sharedllm_core import InputError

from .node_order import Placed, in_order, offset, parent_id, related, without_descendants
from .placing import Piece
from .rebuilding import Missing, Rebuilt, rebuild

__all__ = ["Part", "WholeDocument", "text_of", "whole_documents"]

_MARK = "\0content\0"


@dataclass(frozen=True)
class Part:
    """A node, and where its text stands in its document's `content`."""

    node_id: str
    start: int
    end: int


@dataclass(frozen=True)
class WholeDocument:
    """A document, rebuilt from its nodes.

    Attributes:
        id: the document's, or a node's that belongs to none.
        content: the text.
        before, after: what the model reads around it: metadata, by the nodes' own templates.
        metadata: of the document.
        parts: its nodes.
        blanks: (start, end) of white space in `content` that stands for white space which no node holds.
        missing: where text of nodes that were not given would stand.
        confirmed: whether `content` is known to be the original text, by its hash or because it is.
        certain: whether nothing in it is a choice among several texts that these nodes could come from.
    """

    id: str
    content: str
    before: str = ""
    after: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    blanks: tuple[tuple[int, int], ...] = ()
    missing: tuple[Missing, ...] = ()
    confirmed: bool = False
    certain: bool = True

    @property
    def text(self) -> str:
        """What the model reads."""
        return f"{self.before}{self.content}{self.after}"

    @property
    def notes(self) -> dict[str, Any]:
        """What is to be said about it; empty where there is nothing."""
        told: dict[str, Any] = {}
        if self.missing:
            told["missing"] = [{"at": one.at, "characters": one.characters} for one in self.missing]
        if self.blanks and not self.confirmed:
            told["white_space"] = [list(blank) for blank in self.blanks]
        if not self.certain:
            told["certain"] = False
        return told


def whole_documents(
    nodes: Iterable[BaseNode], original: Callable[[str], BaseNode | None] | None = None
) -> list[WholeDocument]:
    """The documents of some nodes, in the order in which they first appear.

    Args:
        nodes: in any order; the same node may be there twice, and so may a node and parts of it.
        original: the whole document of an id, where it is kept; it is preferred to its nodes.

    Raises:
        InputError: a node that holds no text but an image, or of a type that has no text; or no text in any node.
    """
    groups: dict[str, dict[str, BaseNode]] = {}
    number = 0
    for node in nodes:
        number += 1
        if text_of(node):
            groups.setdefault(_document_id(node), {})[node.node_id] = node
    if number and not groups:
        raise InputError(f"the {number} nodes hold no text; give nodes with text")
    return [_whole(name, list(group.values()), original) for name, group in groups.items()]


def text_of(node: BaseNode) -> str:
    """The text of a node.

    Raises:
        InputError: it is of a kind that has none.
    """
    if not isinstance(node, Node | TextNode):
        given = f"node {getattr(node, 'node_id', node)!r:.80} is a {type(node).__name__}"
        raise InputError(f"{given}, which is not known to hold text; give TextNodes, Nodes with text, or Documents")
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    if not text and (isinstance(node, ImageNode) or not isinstance(node, TextNode)) and _has_media(node):
        raise InputError(
            f"node {node.node_id!r} ({type(node).__name__}) holds an image, sound or film and no text, and this model "
            "reads text alone; leave it out, or give it a description as text"
        )
    return text


def _has_media(node: BaseNode) -> bool:
    if isinstance(node, ImageNode):
        return bool(node.image or node.image_path or node.image_url)
    media = [getattr(node, f"{kind}_resource", None) for kind in ("image", "audio", "video")]
    return any(one is not None and (one.data or one.path or one.url) for one in media)


def _document_id(node: BaseNode) -> str:
    return node.ref_doc_id or node.node_id


def _whole(name: str, nodes: list[BaseNode], original: Callable[[str], BaseNode | None] | None) -> WholeDocument:
    itself = next((node for node in nodes if node.node_id == name), None) or (original(name) if original else None)
    if itself is not None and (content := text_of(itself)):
        before, after = _around(itself, itself.metadata)
        parts = _found_in(content, nodes)
        return WholeDocument(name, content, before, after, dict(itself.metadata), parts, confirmed=True)
    outer = without_descendants(nodes) or nodes
    rebuilt, parts = _stitched(outer)
    held = {part.node_id for part in parts}
    parts += _found_in(rebuilt.text, [node for node in nodes if node.node_id not in held])
    metadata = _metadata(nodes)
    before, after = _around(nodes[0], metadata)
    return WholeDocument(
        name,
        rebuilt.text,
        before,
        after,
        metadata,
        parts,
        rebuilt.blanks,
        rebuilt.missing,
        rebuilt.confirmed,
        rebuilt.certain,
    )


# -------------------------------------------------------------------------------------------------- text


def _stitched(nodes: Sequence[BaseNode]) -> tuple[Rebuilt, tuple[Part, ...]]:
    """The text of nodes of one document. Those of one parent are put together first: their offsets are within it."""
    ordered = in_order(nodes)
    families: dict[str, list[Placed]] = {}
    for placed in ordered:
        families.setdefault(parent_id(placed.node) or placed.node.node_id, []).append(placed)
    inner = [_family(family) for family in families.values()]
    pieces = [
        Piece(text.text, offset(family[0].node), family[0].follows)
        for family, text in zip(families.values(), inner, strict=True)
    ]
    rebuilt = rebuild(pieces, _check(ordered[0].node, NodeRelationship.SOURCE))
    parts = tuple(
        Part(placed.node.node_id, at + within, at + within + len(text_of(placed.node)))
        for at, text, family in zip(rebuilt.places, inner, families.values(), strict=True)
        for within, placed in zip(text.places, family, strict=True)
    )
    if rebuilt.confirmed:
        return replace(rebuilt, missing=()), parts
    within = [(at, text) for at, text in zip(rebuilt.places, inner, strict=True) if text.blanks or text.missing]
    blanks = [*rebuilt.blanks, *((at + low, at + high) for at, text in within for low, high in text.blanks)]
    missing = [*rebuilt.missing, *(replace(one, at=at + one.at) for at, text in within for one in text.missing)]
    if ordered[-1].ends is False:
        missing.append(Missing(len(rebuilt.text), None))
    loose = sum(parent_id(family[0].node) is not None for family in families.values())
    certain = rebuilt.certain and loose < 2 and all(text.certain for text in inner)
    return replace(rebuilt, blanks=tuple(sorted(blanks)), missing=tuple(missing), certain=certain), parts


def _family(family: Sequence[Placed]) -> Rebuilt:
    """The text of nodes of one parent; of a node that has none, its own."""
    if parent_id(family[0].node) is None:
        return Rebuilt(text_of(family[0].node), (0,))
    check = _check(family[0].node, NodeRelationship.PARENT)
    pieces = [Piece(text_of(placed.node), _start(placed.node), placed.follows) for placed in family]
    pieces[0] = replace(pieces[0], follows=True)  # what is before it is another family's
    without = [replace(piece, start=None) for piece in pieces]
    # Some of these offsets may be within the whole document after all: then they fit worse than none.
    tried = [rebuild(pieces, check), rebuild(without, check)]
    best = next((text for text in tried if text.confirmed), tried[(pieces[0].start or 0) > 0])
    return replace(best, missing=()) if best.confirmed else best


def _start(node: BaseNode) -> int | None:
    start: int | None = getattr(node, "start_char_idx", None)
    return start


def _found_in(content: str, nodes: Sequence[BaseNode]) -> tuple[Part, ...]:
    """Where nodes stand in a text that holds them; one that is not found there stands nowhere."""
    parts: list[Part] = []
    reached = 0
    for placed in in_order(nodes):
        text, start = text_of(placed.node), _start(placed.node)
        if start is None or not content.startswith(text, start):
            start = content.find(text, reached)
            start = content.find(text) if start < 0 else start
        parts.append(Part(placed.node.node_id, max(start, 0), max(start, 0) + (len(text) if start >= 0 else 0)))
        reached = max(start, 0)
    return tuple(parts)


@dataclass(frozen=True)
class _Original:
    """Knows the text of a related node by the hash that stands in the relation."""

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


# -------------------------------------------------------------------------------------------------- metadata


def _metadata(nodes: Sequence[BaseNode]) -> dict[str, Any]:
    """A document's metadata: what its nodes say of it, and what they all say."""
    source = related(nodes[0], NodeRelationship.SOURCE)
    if source is None:
        return dict(nodes[0].metadata)
    first, *others = [node.metadata for node in nodes]
    common = {key: value for key, value in first.items() if all(key in m and m[key] == value for m in others)}
    return {**source.metadata, **(common if others else {})}


def _around(node: BaseNode, metadata: Mapping[str, Any]) -> tuple[str, str]:
    """What stands before and behind a document's text, by the templates of a node of it."""
    shown = node.model_copy(update={"metadata": dict(metadata)}).get_metadata_str(MetadataMode.LLM).strip()
    template = getattr(node, "text_template", "")
    if not shown or "{content}" not in template:
        return "", ""
    before, _, after = template.format(content=_MARK, metadata_str=shown).partition(_MARK)
    return before.lstrip(), after.rstrip()

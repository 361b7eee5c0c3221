"""Rebuilds the whole documents that nodes come from: each text once, in order, with its metadata once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, NodeRelationship

from sharedllm_core import InputError
from sharedllm_core.text.unicode import well_formed

from .joining import Missing
from .node_order import related, without_descendants
from .node_text import text_of
from .stitching import Part, found_in, stitched
from .windows import without_windows

__all__ = ["WholeDocument", "whole_documents"]

_MARK = "\0content\0"


@dataclass(frozen=True)
class WholeDocument:
    """A document, rebuilt from its nodes.

    Attributes:
        id: the document's, or that of a node without a document. Lone surrogates in it and in the
            texts are replaced by U+FFFD.
        content: the text.
        before, after: what the model reads around it: metadata, by the nodes' own templates.
        metadata: of the document.
        parts: where its nodes stand in `content`.
        blanks: (start, end) of white space in `content` that no node holds.
        missing: where text of nodes that were not given would stand.
        confirmed: whether `content` is known to be the original text: by its hash, or because it is kept whole.
        certain: whether it is the only text that the nodes could come from.
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

    def __post_init__(self) -> None:
        for name in ("id", "content", "before", "after"):
            object.__setattr__(self, name, well_formed(getattr(self, name)))

    @property
    def text(self) -> str:
        """What the model reads."""
        return f"{self.before}{self.content}{self.after}"

    @property
    def notes(self) -> dict[str, Any]:
        """What responses report of it; empty if it is the original text."""
        notes: dict[str, Any] = {}
        if self.missing:
            notes["missing"] = [{"at": one.at, "characters": one.characters} for one in self.missing]
        if self.blanks and not self.confirmed:
            notes["white_space"] = [list(blank) for blank in self.blanks]
        if not self.certain:
            notes["certain"] = False
        return notes


def whole_documents(
    nodes: Iterable[BaseNode], original: Callable[[str], BaseNode | None] | None = None
) -> list[WholeDocument]:
    """Rebuild the documents of nodes, in the order in which they first appear.

    Args:
        nodes: in any order; a node may be given twice, or together with its parts.
        original: looks up a whole document by its id, if it is kept; it is preferred to nodes.

    Raises:
        InputError: a node that holds an image and no text, a type of node that has no text, or no text in any node.
    """
    groups: dict[str, dict[str, BaseNode]] = {}
    number = 0
    for node in nodes:
        number += 1
        if text_of(node):
            groups.setdefault(_document_id(node), {})[node.node_id] = node
    if number and not groups:
        raise InputError(f"the {number} nodes hold no text", remedy="give nodes with text")
    return [_whole(name, list(group.values()), original) for name, group in groups.items()]


def _document_id(node: BaseNode) -> str:
    return node.ref_doc_id or node.node_id


def _whole(name: str, nodes: list[BaseNode], original: Callable[[str], BaseNode | None] | None) -> WholeDocument:
    itself = next((node for node in nodes if node.node_id == name), None) or (original(name) if original else None)
    if itself is not None and (content := text_of(itself)):
        before, after = _around(itself, itself.metadata)
        parts = found_in(content, nodes)
        return WholeDocument(name, content, before, after, dict(itself.metadata), parts, confirmed=True)
    outer = without_windows(without_descendants(nodes) or nodes)
    rebuilt, parts = stitched(outer)
    given = {node.node_id for node in nodes}
    parts = tuple(part for part in parts if part.node_id in given)
    held = {part.node_id for part in parts}
    parts += found_in(rebuilt.text, [node for node in nodes if node.node_id not in held])
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


# -------------------------------------------------------------------------------------------------- metadata


def _metadata(nodes: Sequence[BaseNode]) -> dict[str, Any]:
    """A document's metadata: those in the nodes' relationship to it, and those that all nodes have."""
    source = related(nodes[0], NodeRelationship.SOURCE)
    if source is None:
        return dict(nodes[0].metadata)
    first, *others = [node.metadata for node in nodes]
    common = {key: value for key, value in first.items() if all(key in m and m[key] == value for m in others)}
    return {**source.metadata, **(common if others else {})}


def _around(node: BaseNode, metadata: Mapping[str, Any]) -> tuple[str, str]:
    """The text before and after a document's content, by the template of one of its nodes."""
    shown = node.model_copy(update={"metadata": dict(metadata)}).get_metadata_str(MetadataMode.LLM).strip()
    template = getattr(node, "text_template", "")
    if not shown or "{content}" not in template:
        return "", ""
    before, _, after = template.format(content=_MARK, metadata_str=shown).partition(_MARK)
    return before.lstrip(), after.rstrip()

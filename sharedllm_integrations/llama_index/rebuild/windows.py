"""Sentences that were replaced by the window around them, as `MetadataReplacementPostProcessor` does.

Windows of neighbours overlap. They are joined, so that each sentence is written once: where all sentences of a window
are given, from the sentences themselves, which have offsets; else from the windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.schema import BaseNode, NodeRelationship, TextNode

from .node_order import parent_id, related
from .node_text import text_of
from .placing import LEAST_OVERLAP, Piece, overlaps

__all__ = ["without_windows"]


@dataclass(frozen=True)
class _Window:
    """A node whose text is a window.

    Attributes:
        node: the node.
        text: of the window: sentences with a space between them.
        sentence: the node's own text, in the middle of the window.
        start: the offset of the sentence in the document.
    """

    node: TextNode
    text: str
    sentence: str
    start: int


def without_windows(nodes: Sequence[BaseNode]) -> list[BaseNode]:
    """Join the windows among the nodes of one document; other nodes are returned as they are."""
    found = {node.node_id: window for node in nodes if (window := _window(node)) is not None}
    if not found:
        return list(nodes)
    joined: list[BaseNode] = [node for node in nodes if node.node_id not in found]
    windows = sorted(found.values(), key=lambda window: window.start)
    if _are_all(windows):  # also where sentences repeat, and windows do not show how often
        return joined + [_with_text(window.node, window.sentence) for window in windows]
    run: list[_Window] = []
    text = ""
    for window in windows:
        longer = _joined(text, window.text) if run else None
        if longer is None and run:
            joined += _nodes_of_run(run, text)
            run = []
        run.append(window)
        text = window.text if longer is None else longer
    return joined + _nodes_of_run(run, text)


def _are_all(windows: Sequence[_Window]) -> bool:
    """Whether windows are of all sentences of the document, by their relationships to neighbours."""
    nodes = [window.node for window in windows]
    following = [related(node, NodeRelationship.NEXT) for node in nodes]
    names = [None if info is None else info.node_id for info in following]
    return related(nodes[0], NodeRelationship.PREVIOUS) is None and names == [*(n.node_id for n in nodes[1:]), None]


def _window(node: BaseNode) -> _Window | None:
    """The window that a node's text is, if its metadata hold the window and the sentence that was there before."""
    if not isinstance(node, TextNode) or parent_id(node) is not None:
        return None
    start, end = node.start_char_idx, node.end_char_idx
    text = text_of(node)
    values = [value for value in node.metadata.values() if isinstance(value, str)]
    if start is None or end is None or text not in values or len(text) == end - start:
        return None
    sentence = next((value for value in values if len(value) == end - start and value in text), None)
    return None if sentence is None else _Window(node, text, sentence, start)


def _joined(text: str, window: str) -> str | None:
    """A text and the window that continues it; `None` if they share too little to be neighbours."""
    if window in text:
        return text
    shared = next(iter(overlaps(Piece(text), Piece(window))), 0)
    return text + window[shared:] if shared >= min(LEAST_OVERLAP, len(window)) else None


def _nodes_of_run(run: Sequence[_Window], text: str) -> list[BaseNode]:
    if " ".join(window.sentence for window in run) == text:
        return [_with_text(window.node, window.sentence) for window in run]
    first, last = run[0], run[-1]
    # Exact if the document has one space between sentences, as the window has.
    start = max(first.start - first.text.index(first.sentence), 0)
    relationships: dict[NodeRelationship, Any] = {
        relation: info
        for node, relation in (
            (first.node, NodeRelationship.SOURCE),
            (first.node, NodeRelationship.PREVIOUS),
            (last.node, NodeRelationship.NEXT),
        )
        if (info := related(node, relation)) is not None
    }
    if not start:
        relationships.pop(NodeRelationship.PREVIOUS, None)
    return [
        TextNode(
            id_=f"{first.node.node_id}-windows",
            text=text,
            start_char_idx=start,
            end_char_idx=start + len(text),
            metadata=first.node.metadata,
            relationships=relationships,
        )
    ]


def _with_text(node: TextNode, text: str) -> TextNode:
    copy = node.model_copy()
    copy.set_content(text)
    return copy

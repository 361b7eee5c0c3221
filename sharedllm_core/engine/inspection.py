"""How documents were injected for one question: which node of which chunk at which level, and what drew attention."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..generation.answer import Answer
from ..model.past_context import PastContext
from ..text.documents import Document
from ..text.library import Library

__all__ = ["InspectedDocument", "InspectedNode", "Inspection", "inspected"]


@dataclass(frozen=True)
class InspectedNode:
    """A retained node.

    Attributes:
        chunk: its number in the document.
        level: of the context tree; 0 is the whole chunk, and the deeper the finer.
        tokens, states: how many tokens it has, and how many states of them were kept.
        start, end: characters of the document.
        score: the node's share of the attention that the question drew to all documents.
    """

    chunk: int
    level: int
    tokens: int
    states: int
    start: int
    end: int
    score: float


@dataclass(frozen=True)
class InspectedDocument:
    """A document and its retained nodes, in the order of the text."""

    document: Document
    nodes: tuple[InspectedNode, ...]


@dataclass(frozen=True)
class Inspection:
    """What `SharedLLMEngine.inspect` gives: the answer, and every document's retained nodes.

    Attributes:
        answer: to the question.
        documents: all of the library, in its order.
        tree_depth: the deepest level.
        left_out_chunks: how many chunks have no retained node, for `max_injected_states`.
    """

    answer: Answer
    documents: tuple[InspectedDocument, ...]
    tree_depth: int
    left_out_chunks: int = 0


def inspected(answer: Answer, library: Library, past: PastContext, scores: Sequence[Tensor]) -> Inspection:
    """Sort a past context's nodes by document and place; `scores` are those of each document's tokens."""
    nodes: list[list[InspectedNode]] = [[] for _ in library.documents]
    tokens_before, chunks_before = [0] * len(library), [0] * len(library)  # in each chunk's document
    for chunk, retained, counts in zip(library.chunks, past.nodes, past.states_per_node, strict=True):
        number = chunk.document
        for node, states in zip(retained, counts, strict=True):
            start, end = chunk.text.characters(node.start, node.end)
            first = tokens_before[number] + node.start
            score = round(float(scores[number][first : first + node.length].sum()), 4)
            nodes[number].append(
                InspectedNode(chunks_before[number], node.level, node.length, states, start, end, score)
            )
        tokens_before[number] += len(chunk.ids)
        chunks_before[number] += 1
    depth = 0 if past.origin is None else past.origin.method.tree_depth
    documents = tuple(
        InspectedDocument(document, tuple(sorted(of, key=lambda node: node.start)))
        for document, of in zip(library.documents, nodes, strict=True)
    )
    left_out = sum(not retained for retained in past.nodes)
    return Inspection(answer, documents, depth, left_out)

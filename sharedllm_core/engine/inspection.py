"""How documents were injected for one question: the retained nodes of each chunk and their share of the attention."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ..generation.answer import Answer
from ..model.past_context import PastContext
from ..text.documents import Document
from ..text.library import Library
from ..text.passages import Passage

__all__ = ["InspectedDocument", "InspectedNode", "Inspection", "make_inspection"]


@dataclass(frozen=True)
class InspectedNode:
    """A retained node.

    Attributes:
        chunk: number of its chunk in the document.
        level: level in the context tree; 0 is the whole chunk, deeper levels are finer.
        tokens, states: number of its tokens, and of the states kept of them.
        start, end: span of characters in the document.
        score: the node's share of the attention that the question pays to all documents.
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
    """The result of `SharedLLMEngine.inspect`: the answer, and every document's retained nodes.

    Attributes:
        answer: the answer to the question.
        documents: all documents of the library, in its order.
        tree_depth: the deepest level.
        left_out_chunks: number of chunks without retained nodes, because of `max_injected_states`.
        passages: what was quoted word for word, in the order of the text.
    """

    answer: Answer
    documents: tuple[InspectedDocument, ...]
    tree_depth: int
    left_out_chunks: int = 0
    passages: tuple[Passage, ...] = ()


def make_inspection(
    answer: Answer,
    library: Library,
    past: PastContext,
    scores: Sequence[Tensor],
    passages: Sequence[Passage] = (),
) -> Inspection:
    """Group a past context's nodes by document, in the order of the text.

    Args:
        answer: the answer to the question.
        library: the documents.
        past: the past context that was injected.
        scores: for each document, one score per token.
        passages: what was quoted.
    """
    if not past.nodes:  # nothing was injected
        documents = tuple(InspectedDocument(document, ()) for document in library.documents)
        return Inspection(answer, documents, 0, 0, tuple(passages))
    nodes: list[list[InspectedNode]] = [[] for _ in library.documents]
    tokens_before, chunks_before = [0] * len(library), [0] * len(library)  # of the current chunk, per document
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
        InspectedDocument(document, tuple(sorted(retained, key=lambda node: node.start)))
        for document, retained in zip(library.documents, nodes, strict=True)
    )
    left_out = sum(not retained for retained in past.nodes)
    return Inspection(answer, documents, depth, left_out, tuple(passages))

"""What an answer rests on, in LlamaIndex's terms: source nodes by their share of it, with the spans as metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.schema import BaseNode, NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from .whole_documents import WholeDocument

__all__ = ["EVIDENCE", "ranked"]

#: The key of a source node's metadata under which its spans stand.
EVIDENCE = "evidence"


def ranked(
    nodes: Sequence[NodeWithScore],
    documents: Sequence[WholeDocument],
    evidence: Sequence[Mapping[str, Any]],
    texts: Mapping[str, str],
) -> list[NodeWithScore]:
    """Source nodes, those first on which an answer rests most.

    A node's score is the sum of the scores of its spans, and 0 where it has none; its metadata name them by their
    characters in the node. A document that has no nodes here is shown by the spans themselves, as nodes.

    Args:
        nodes: that were given.
        documents: that were rebuilt from them.
        evidence: of the answer; characters are those of what the model read.
        texts: what the model read, by the ids of documents.
    """
    spans: dict[str, list[dict[str, Any]]] = {}
    alone: list[NodeWithScore] = []
    of_nodes = {document.id: document for document in documents}
    for one in evidence:
        document = of_nodes.get(one["document_id"])
        if document is None:
            # What the engine moved out of the running text, turns of the conversation, is nobody's source.
            alone += [_span_node(one, texts)] if one["document_id"] in texts else []
            continue
        shift = len(document.before)
        for part in document.parts:
            start, end = max(one["start"] - shift, part.start), min(one["end"] - shift, part.end)
            if start < end:
                place = {"start": start - part.start, "end": end - part.start, "score": one["score"]}
                spans.setdefault(part.node_id, []).append(place)
    given = {node.node.node_id: node for node in nodes}
    shown = [_with_spans(node.node, spans.get(name, [])) for name, node in given.items()]
    return sorted([*shown, *alone], key=lambda node: -(node.score or 0.0))


def _with_spans(node: BaseNode, spans: list[dict[str, Any]]) -> NodeWithScore:
    if not spans:
        return NodeWithScore(node=node, score=0.0)
    # A copy: what an answer rests on must not get into the index, nor into the next prompt.
    changed = {
        "metadata": {**node.metadata, EVIDENCE: spans},
        "excluded_llm_metadata_keys": [*node.excluded_llm_metadata_keys, EVIDENCE],
        "excluded_embed_metadata_keys": [*node.excluded_embed_metadata_keys, EVIDENCE],
    }
    return NodeWithScore(node=node.model_copy(update=changed), score=sum(span["score"] for span in spans))


def _span_node(one: Mapping[str, Any], texts: Mapping[str, str]) -> NodeWithScore:
    name, start, end = one["document_id"], one["start"], one["end"]
    node = TextNode(
        text=texts[name][start:end],
        id_=f"{name} {start}-{end}",
        start_char_idx=start,
        end_char_idx=end,
        metadata={EVIDENCE: [{"start": 0, "end": end - start, "score": one["score"]}]},
        excluded_llm_metadata_keys=[EVIDENCE],
        excluded_embed_metadata_keys=[EVIDENCE],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=name)},
    )
    return NodeWithScore(node=node, score=one["score"])

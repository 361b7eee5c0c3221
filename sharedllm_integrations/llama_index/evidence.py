"""Evidence as LlamaIndex's source nodes, ranked by their share of it, with its spans in their metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.schema import BaseNode, NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from .rebuild.whole_documents import WholeDocument

__all__ = ["EVIDENCE", "ranked"]

#: The key of the spans in a source node's metadata.
EVIDENCE = "evidence"


def ranked(
    nodes: Sequence[NodeWithScore],
    documents: Sequence[WholeDocument],
    evidence: Sequence[Mapping[str, Any]],
    texts: Mapping[str, str],
) -> list[NodeWithScore]:
    """Return source nodes, those with the most evidence first.

    A node's score is the sum of the scores of its spans; its metadata name the spans by their characters in the node.
    Spans of a document without nodes become nodes themselves.

    Args:
        nodes: the nodes that were given.
        documents: the documents that were rebuilt from them.
        evidence: of the answer, in characters of the texts that the model read.
        texts: what the model read, by document id.
    """
    spans: dict[str, list[dict[str, Any]]] = {}
    alone: list[NodeWithScore] = []
    by_id = {document.id: document for document in documents}
    for span in evidence:
        document = by_id.get(span["document_id"])
        if document is None:
            # Turns of the conversation that the engine moved out of the running text are no source.
            alone += [_span_node(span, texts)] if span["document_id"] in texts else []
            continue
        shift = len(document.before)
        for part in document.parts:
            start, end = max(span["start"] - shift, part.start), min(span["end"] - shift, part.end)
            if start < end:
                within = {"start": start - part.start, "end": end - part.start, "score": span["score"]}
                spans.setdefault(part.node_id, []).append(within | _file_place(span))
    unique = {node.node.node_id: node for node in nodes}
    shown = [_with_spans(node.node, spans.get(name, [])) for name, node in unique.items()]
    return sorted([*shown, *alone], key=lambda node: -(node.score or 0.0))


def _with_spans(node: BaseNode, spans: list[dict[str, Any]]) -> NodeWithScore:
    if not spans:
        return NodeWithScore(node=node, score=0.0)
    # A copy: evidence must get neither into the index nor into the next prompt.
    changed = {
        "metadata": {**node.metadata, EVIDENCE: spans},
        "excluded_llm_metadata_keys": [*node.excluded_llm_metadata_keys, EVIDENCE],
        "excluded_embed_metadata_keys": [*node.excluded_embed_metadata_keys, EVIDENCE],
    }
    return NodeWithScore(node=node.model_copy(update=changed), score=sum(span["score"] for span in spans))


def _span_node(span: Mapping[str, Any], texts: Mapping[str, str]) -> NodeWithScore:
    name, start, end = span["document_id"], span["start"], span["end"]
    node = TextNode(
        text=texts[name][start:end],
        id_=f"{name} {start}-{end}",
        start_char_idx=start,
        end_char_idx=end,
        metadata={EVIDENCE: [{"start": 0, "end": end - start, "score": span["score"], **_file_place(span)}]},
        excluded_llm_metadata_keys=[EVIDENCE],
        excluded_embed_metadata_keys=[EVIDENCE],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=name)},
    )
    return NodeWithScore(node=node, score=span["score"])


def _file_place(span: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a span stands in its file, as far as that is known."""
    return {name: span[name] for name in ("place", "original") if name in span}

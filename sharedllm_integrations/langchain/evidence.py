"""Evidence as citations on content blocks, and as Documents.

A message names spans of documents (document, characters, score). Messages end up in traces, so the text of a span is in
one only where the caller put it into the prompt anyway, or asked for it by `evidence_text=True`; `evidence_documents`
looks the text up.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.messages.content import Citation, create_citation

from sharedllm_core import InputError

from .documents import DocumentSet

__all__ = ["as_citations", "evidence_documents"]


def as_citations(evidence: Sequence[Mapping[str, Any]], text: str) -> list[Citation]:
    """Convert the evidence in the metadata of an answer to citations of its whole text."""
    return [
        create_citation(
            title=span["document_id"],
            start_index=0,
            end_index=len(text),
            cited_text=span.get("text"),
            **_place(span),  # langchain-core puts what its type has no key for under `extras`
        )
        for span in evidence
    ]


def evidence_documents(message: BaseMessage, documents: Any = None) -> list[Document]:
    """Return the evidence of an answer of `ChatSharedLLM` as Documents, the strongest first.

    Their metadata are those of the whole document, and `source`, `start`, `end` (characters), `score` and, for files,
    `place` and `original`.

    Args:
        message: the answer.
        documents: the documents that the model answered from; the text is looked up in them.

    Raises:
        InputError: a span of a document that is not among `documents`.
    """
    handle = DocumentSet.wrap(documents)
    by_id = {} if handle is None else {document.id: document for document in handle.documents}
    evidence: list[Mapping[str, Any]] = message.response_metadata.get("evidence", [])
    spans: list[Document] = []
    for span in evidence:
        whole = by_id.get(span["document_id"])
        text = span.get("text") if whole is None else whole.text[span["start"] : span["end"]]
        if text is None:
            raise InputError(
                f"{span['document_id']!r} is not among the documents",
                remedy=[
                    "give evidence_documents those that the model answered from",
                    "make the model with evidence_text=True",
                ],
            )
        metadata = {} if whole is None else whole.metadata
        spans.append(Document(text, metadata={**metadata, "source": span["document_id"], **_place(span)}))
    return spans


def _place(span: Mapping[str, Any]) -> dict[str, Any]:
    return {name: span[name] for name in ("start", "end", "score", "place", "original") if name in span}

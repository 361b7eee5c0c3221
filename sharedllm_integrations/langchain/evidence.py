"""What an answer rests on, in LangChain's terms: metadata, citations on content blocks, and Documents.

Everything that a message holds ends up in traces. So a message names spans of documents (document, characters, score);
their text is with it only where the caller had put it into the prompt anyway, or asked for it by `evidence_text=True`.
`evidence_documents` looks the text up.
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
    """Citations of a whole answer, from `evidence_metadata`."""
    return [
        create_citation(
            title=one["document_id"],
            start_index=0,
            end_index=len(text),
            cited_text=one.get("text"),
            extras={name: one[name] for name in ("start", "end", "score")},
        )
        for one in evidence
    ]


def evidence_documents(message: BaseMessage, documents: Any = None) -> list[Document]:
    """The spans that an answer of `ChatSharedLLM` rests on, the strongest first, as Documents.

    Their metadata are those of the whole document, and `source`, `start`, `end` (characters) and `score`.

    Args:
        message: the answer.
        documents: what the model was given: where the text is looked up.

    Raises:
        InputError: a span of a document that is not among `documents`.
    """
    handle = DocumentSet.of(documents)
    known = {} if handle is None else {document.id: document for document in handle.documents}
    found: list[Mapping[str, Any]] = message.response_metadata.get("evidence", [])
    spans: list[Document] = []
    for one in found:
        whole = known.get(one["document_id"])
        text = one.get("text") if whole is None else whole.text[one["start"] : one["end"]]
        if text is None:
            raise InputError(
                f"{one['document_id']!r} is not among the documents; give evidence_documents those that the model "
                "answered from, or make the model with evidence_text=True"
            )
        place = {"source": one["document_id"], **{name: one[name] for name in ("start", "end", "score")}}
        spans.append(Document(text, metadata={**({} if whole is None else whole.metadata), **place}))
    return spans

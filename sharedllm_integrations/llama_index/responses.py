"""Source nodes and metadata of responses; those of a stream are complete after its last piece."""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.schema import NodeWithScore

from .documents import DocumentHandle
from .evidence import EVIDENCE, ranked
from .rebuild.whole_documents import WholeDocument

__all__ = ["AnswerSources", "apieces", "pieces"]


@dataclass
class AnswerSources:
    """The documents and nodes of one answer.

    Attributes:
        handle: the documents for the model; `None` for none.
        documents: the documents that were rebuilt from nodes.
        nodes: the nodes that were given.
        texts: what the model reads, by document id.
    """

    handle: DocumentHandle | None
    documents: list[WholeDocument] = field(default_factory=list)
    nodes: list[NodeWithScore] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def ranked_nodes(self, raw: Any) -> list[NodeWithScore]:
        """Return the source nodes, ranked by the evidence of an answer."""
        return ranked(self.nodes, self.documents, raw.get(EVIDENCE, []), self.texts)

    def metadata(self, raw: Any) -> dict[str, Any]:
        """Return a response's metadata: of each node, usage, evidence, and notes on documents."""
        metadata: dict[str, Any] = {node.node.node_id: node.node.metadata for node in self.nodes}
        metadata |= {name: raw[name] for name in ("usage", "finish_reason", EVIDENCE) if name in raw}
        notes = {document.id: notes for document in self.documents if (notes := document.notes)}
        notes |= {} if self.handle is None else self.handle.documents.notes
        return {**metadata, "documents": notes} if notes else metadata


def pieces(
    responses: Generator[ChatResponse, None, None],
    sources: AnswerSources,
    more: list[NodeWithScore],
    into: StreamingResponse,
) -> Generator[str, None, None]:
    """Yield the pieces of an answer; the last one completes the sources and metadata of `into`."""
    for response in responses:
        if response.raw is not None:
            _complete(into, response.raw, sources, more)
        if response.delta:
            yield response.delta


async def apieces(
    responses: AsyncGenerator[ChatResponse, None],
    sources: AnswerSources,
    more: list[NodeWithScore],
    into: AsyncStreamingResponse,
) -> AsyncGenerator[str, None]:
    """`pieces` for asyncio."""
    async with aclosing(responses):
        async for response in responses:
            if response.raw is not None:
                _complete(into, response.raw, sources, more)
            if response.delta:
                yield response.delta


def _complete(
    response: StreamingResponse | AsyncStreamingResponse,
    raw: dict[str, Any],
    sources: AnswerSources,
    more: list[NodeWithScore],
) -> None:
    """Fill in what is known after the last piece, into the same list and dict, which the caller may hold already."""
    response.source_nodes[:] = [*sources.ranked_nodes(raw), *more]
    if response.metadata is not None:
        response.metadata.update(sources.metadata(raw))

"""What stands in a response beside its text: sources, usage, evidence; of a stream, when its last piece has come."""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.schema import NodeWithScore

from .documents import Handle
from .evidence import EVIDENCE, ranked
from .whole_documents import WholeDocument

__all__ = ["Read", "apieces", "pieces"]


@dataclass
class Read:
    """The documents of one answer, and what is said of them.

    Attributes:
        handle: for the model; `None` for no documents.
        documents: that were rebuilt from nodes.
        nodes: that were given.
        texts: what the model reads, by the documents' ids.
    """

    handle: Handle | None
    documents: list[WholeDocument] = field(default_factory=list)
    nodes: list[NodeWithScore] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def sources(self, raw: Any) -> list[NodeWithScore]:
        """Source nodes, by an answer's evidence."""
        return ranked(self.nodes, self.documents, raw.get(EVIDENCE, []), self.texts)

    def metadata(self, raw: Any) -> dict[str, Any]:
        """Of a response: of each node, as everywhere; usage and evidence; and what is to be said of documents."""
        told: dict[str, Any] = {node.node.node_id: node.node.metadata for node in self.nodes}
        told |= {name: raw[name] for name in ("usage", "finish_reason", EVIDENCE) if name in raw}
        notes = {document.id: notes for document in self.documents if (notes := document.notes)}
        notes |= {} if self.handle is None else self.handle.documents.notes
        return {**told, "documents": notes} if notes else told


def pieces(
    responses: Generator[ChatResponse, None, None], read: Read, more: list[NodeWithScore], into: StreamingResponse
) -> Generator[str, None, None]:
    """The pieces of an answer; the last one completes the response that they are read from."""
    for response in responses:
        if response.raw is not None:
            _complete(into, response.raw, read, more)
        if response.delta:
            yield response.delta


async def apieces(
    responses: AsyncGenerator[ChatResponse, None], read: Read, more: list[NodeWithScore], into: AsyncStreamingResponse
) -> AsyncGenerator[str, None]:
    """`pieces` for asyncio."""
    async with aclosing(responses):
        async for response in responses:
            if response.raw is not None:
                _complete(into, response.raw, read, more)
            if response.delta:
                yield response.delta


def _complete(
    response: StreamingResponse | AsyncStreamingResponse, raw: dict[str, Any], read: Read, more: list[NodeWithScore]
) -> None:
    """What is known when the last piece has come; in the same list and dict, which others may hold by now."""
    response.source_nodes[:] = [*read.sources(raw), *more]
    if response.metadata is not None:
        response.metadata.update(read.metadata(raw))

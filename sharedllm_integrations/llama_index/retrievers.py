"""Retrievers that return all nodes of each document."""

import asyncio
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle

from sharedllm_core import InputError

from .kept_nodes import KeptNodes

__all__ = ["EverythingRetriever", "FullDocumentRetriever"]


class FullDocumentRetriever(BaseRetriever):
    """Lets any retriever choose documents, and returns all nodes of each.

    Args:
        retriever: finds nodes; the documents that they come from are chosen, the best first.
        source: keeps all nodes: an index, a docstore, or a list of documents or nodes. Of a document that is not there,
            only the nodes that were found are returned, and the response reports that the rest is missing.
        max_documents: the most documents; by default all that were found.
        callback_manager: as everywhere in LlamaIndex.

    Raises:
        InputError: a source that keeps no nodes, or `max_documents` below 1.
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        source: Any,
        *,
        max_documents: int | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        if max_documents is not None and max_documents < 1:
            raise InputError(
                f"max_documents={max_documents} chooses nothing", remedy="give at least 1, or None for all"
            )
        super().__init__(callback_manager=callback_manager or retriever.callback_manager)
        self._retriever = retriever
        self._max_documents = max_documents
        self.kept = source if isinstance(source, KeptNodes) else KeptNodes(source)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return self._whole(self._retriever.retrieve(query_bundle))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._whole, await self._retriever.aretrieve(query_bundle))

    def _whole(self, found: list[NodeWithScore]) -> list[NodeWithScore]:
        chosen: dict[str, list[NodeWithScore]] = {}
        for node in found:
            chosen.setdefault(node.node.ref_doc_id or node.node.node_id, []).append(node)
        names = list(chosen)[: self._max_documents]
        kept = self.kept.by_document(names)
        return [
            NodeWithScore(node=node, score=chosen[name][0].score)
            for name in names
            for node in kept[name] or [one.node for one in chosen[name]]
        ]


class EverythingRetriever(BaseRetriever):
    """Returns all nodes for every query.

    Args:
        source: an index, a docstore, or a list of documents or nodes.
        callback_manager: as everywhere in LlamaIndex.
    """

    def __init__(self, source: Any, callback_manager: CallbackManager | None = None) -> None:
        super().__init__(callback_manager=callback_manager)
        self.kept = source if isinstance(source, KeptNodes) else KeptNodes(source)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=node) for node in self.kept.all()]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)

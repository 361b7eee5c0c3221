"""All nodes of a document, from an index, a docstore or a list."""

from collections.abc import Iterable, Sequence
from typing import Any

from llama_index.core.data_structs import IndexDict, IndexGraph, IndexList, KeywordTable
from llama_index.core.indices.base import BaseIndex
from llama_index.core.schema import BaseNode
from llama_index.core.storage.docstore.types import BaseDocumentStore

from sharedllm_core import InputError

from .rebuild.node_order import parent_id

__all__ = ["KeptNodes"]


class KeptNodes:
    """Nodes by the documents that they come from.

    Args:
        source: an index, a docstore, or a list of documents or nodes. An index is read at every call, so nodes that
            are inserted later are found.

    Raises:
        InputError: another type of source, or, when nodes are read, an index that keeps no text of its own.
    """

    def __init__(self, source: Any) -> None:
        listed = isinstance(source, Sequence) and all(isinstance(one, BaseNode) for one in source)
        if not listed and not isinstance(source, BaseIndex | BaseDocumentStore):
            raise InputError(
                f"{type(source).__name__} keeps no nodes", remedy="give an index, a docstore, or a list of nodes"
            )
        self._source = source

    def all(self) -> list[BaseNode]:
        """Return every node, in the order in which they are kept."""
        if isinstance(self._source, BaseIndex):
            return _index_nodes(self._source)
        if isinstance(self._source, BaseDocumentStore):
            return list(self._source.docs.values())
        return list(self._source)

    def by_document(self, names: Iterable[str]) -> dict[str, list[BaseNode]]:
        """Return the nodes of documents, by document id; a node without a document counts as one."""
        found: dict[str, list[BaseNode]] = {name: [] for name in names}
        for node in self.all():
            name = node.ref_doc_id or node.node_id
            if name in found:
                found[name].append(node)
        return found

    def original(self, name: str) -> BaseNode | None:
        """Return the whole document of an id, if it is kept beside its nodes."""
        if isinstance(self._source, BaseIndex | BaseDocumentStore):
            docstore = self._source.docstore if isinstance(self._source, BaseIndex) else self._source
            return docstore.get_document(name, raise_error=False)
        return next((node for node in self._source if node.node_id == name), None)


def _index_nodes(index: BaseIndex[Any]) -> list[BaseNode]:
    nodes = index.docstore.get_nodes(_ids(index), raise_error=False)
    if not nodes:
        nodes = _vector_store_nodes(index)
    known = {node.node_id for node in nodes}
    # An index of the leaves of a hierarchy: their parents are in the docstore and hold the text between them.
    children = nodes
    while wanted := {name for node in children if (name := parent_id(node)) and name not in known}:
        children = index.docstore.get_nodes(sorted(wanted), raise_error=False)
        known |= wanted
        nodes = [*nodes, *children]
    return nodes


def _ids(index: BaseIndex[Any]) -> list[str]:
    struct: Any = index.index_struct
    if isinstance(struct, IndexList):
        return list(struct.nodes)
    if isinstance(struct, IndexDict):
        return list(dict.fromkeys(struct.nodes_dict.values()))
    if isinstance(struct, KeywordTable):
        return sorted(struct.node_ids)
    if isinstance(struct, IndexGraph):  # nodes with children are summaries by the index's model
        return [name for name in struct.all_nodes.values() if not struct.node_id_to_children_ids.get(name)]
    return list(index.docstore.docs)


def _vector_store_nodes(index: BaseIndex[Any]) -> list[BaseNode]:
    store: Any = getattr(index, "vector_store", None)
    if store is None or not getattr(store, "stores_text", False):
        return []
    try:
        found: list[BaseNode] = store.get_nodes(None)
    except (NotImplementedError, AttributeError) as error:
        raise InputError(
            f"the text of this index is in its {type(store).__name__}, which cannot list what it holds",
            remedy=[
                "make the index with store_nodes_override=True",
                "give the documents themselves: from_documents(…)",
            ],
        ) from error
    return found

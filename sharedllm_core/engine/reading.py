"""Encode documents with the lower model, through the tree cache.

`read` encodes every node of every chunk ahead of any question. `past_context` encodes for one question, in the four
steps of the pipeline: select → fetch → encode → assemble.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from threading import Event

import torch
from torch import Tensor

from ..errors import CacheWarning, setting
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node, num_states
from ..model.encoding import encode_missing, encode_nodes, is_complete, read_query, select
from ..model.lower_model import LowerModel
from ..model.node_states import NodeStates
from ..model.node_vectors import NodeVectors
from ..model.past_context import PastContext
from ..model.retained_states import RetainedStates
from ..model.tree_head import TreeHead
from ..selection.choice import nodes_of
from ..selection.policy import Query, load_policy
from ..text.embedding import Embedder
from ..text.library import Library
from ..text.search import token_relevance
from ..tree_cache import TreeCache, TreeKeys
from .cache_writer import CacheWriter
from .fair_lock import FairLock
from .progress import Progress

__all__ = ["ReadPast", "TreeReader"]

_BATCHES_PER_TURN = 4  # of the lower model, before it releases the lock
_STATES_PER_FETCH = 1024  # in memory beside the assembled ones


@dataclass(frozen=True)
class ReadPast:
    """A past context for one question, and the tokens of its chunks that needed no run of the lower model."""

    past: PastContext
    cached_tokens: int


@dataclass(frozen=True)
class _Selection:
    """The retained nodes of each chunk; and by number of the chunk its selection vectors, where some are new."""

    nodes: list[list[Node]]
    new_vectors: dict[int, Mapping[Node, Tensor]]


class TreeReader:
    """Encodes libraries with one lower model, one method and one cache.

    Args:
        lower: the lower model, whose method is fixed.
        cache: stores the trees.
        lock: held while the model runs.
        fingerprint: hash of the lower model's weights.
        embedder: for a policy that searches text, searches by meaning as well.
    """

    def __init__(
        self,
        lower: LowerModel,
        cache: TreeCache,
        lock: FairLock,
        fingerprint: str,
        embedder: Embedder | None = None,
    ) -> None:
        self._embedder = embedder
        self._lower = lower
        self.cache = cache
        self._lock = lock
        cache_dtype = "int8" if cache.int8 else "model"
        self._keys = TreeKeys(lower, cache.namespace, cache_dtype, fingerprint=fingerprint)
        self._origin = lower.origin()
        self._searches_text = load_policy(lower.method.policy).searches_text

    # ---------------------------------------------------------------------------------------------- ahead of questions

    def read(self, library: Library, progress: Progress, cancelled: Event) -> None:
        """Encode every chunk whose tree is not in the cache yet, and store the trees."""
        keys = self.keys(library)
        first_of = {key: number for number, key in reversed(list(enumerate(keys)))}  # equal chunks are encoded once
        todo = sorted(number for key, number in first_of.items() if not self.cache.contains(key))
        if not todo:
            return
        progress.begin(library.num_tokens, library.num_tokens - _num_tokens(library, todo))
        with CacheWriter(self.cache) as writer:
            for turn in self._turns(library, todo):
                if cancelled.is_set():
                    return
                # Another thread may have stored some since.
                new = [number for number in turn if not self.cache.contains(keys[number])]
                with self._lock, torch.no_grad():
                    encoded = encode_nodes(self._lower, [library.chunks[number].ids for number in new])
                for number, states in zip(new, encoded, strict=True):
                    writer.put(keys[number], states, complete=True)
                progress.add(_num_tokens(library, turn))
        if lost := sum(not self.cache.contains(keys[number]) for number in todo):
            warning = CacheWarning(
                f"the tree cache has lost {lost} of {len(todo)} trees that were just stored",
                limit="so each question encodes them again",
                remedy=f"raise its {setting('max_bytes')}, or fix the problem of an earlier warning",
            )
            warnings.warn(warning, stacklevel=3)

    def cached_tokens(self, library: Library) -> int:
        """Count the tokens of the chunks with complete trees in the cache."""
        cached = [number for number, key in enumerate(self.keys(library)) if self.cache.contains(key)]
        return _num_tokens(library, cached)

    def keys(self, library: Library) -> list[str]:
        """Return the cache key of each chunk's tree."""
        return [self._keys.chunk_key(chunk.ids) for chunk in library.chunks]

    # ---------------------------------------------------------------------------------------------- for one question

    def past_context(
        self, library: Library, question: str, query_ids: Tensor, progress: Progress, cancelled: Event
    ) -> ReadPast | None:
        """Build the past context that a question retains of a library; `None` if cancelled.

        Args:
            library: the documents.
            question: text of the question, for a policy that searches text.
            query_ids: ids [n] of the question, for other policies.
            progress: of the documents' tokens.
            cancelled: set it from another thread to stop.
        """
        chunks = [chunk.ids for chunk in library.chunks]
        relevance = token_relevance(question, library, self._embedder) if self._searches_text else None
        with self._lock, torch.no_grad():
            query = read_query(self._lower, query_ids, chunks, relevance)
        selection = self._select(library, query, cancelled)
        if selection is None:
            return None
        counts = [[num_states(n.length, n.level, self._lower.method) for n in nodes] for nodes in selection.nodes]
        retained = RetainedStates(
            selection.nodes, counts, library.chunk_positions, self._origin, torch.device(self._lower.device)
        )
        missing = self._fetch(library, selection, retained)
        if not self._encode(library, selection, missing, retained, progress, cancelled):
            return None
        past = PastContext(
            tuple(map(tuple, selection.nodes)),
            tuple(map(tuple, counts)),
            tuple(library.chunk_positions),
            *retained.layers(),
            self._origin,
        )
        return ReadPast(past, library.num_tokens - _num_tokens(library, list(missing)))

    def _select(self, library: Library, query: Query | None, cancelled: Event) -> _Selection | None:
        """Select the nodes to retain of each chunk; `None` if cancelled.

        A policy over token ids selects for all chunks at once. One over vectors takes them from the heads of the cached
        trees, and the lower model computes the others.
        """
        chunks = [chunk.ids for chunk in library.chunks]
        if not self._lower.method.compares_vectors:
            return _Selection(select(self._lower, chunks, [query] * len(chunks)), {})
        selection = _Selection([[] for _ in chunks], {})
        keys = self.keys(library)
        for turn in self._turns(library, range(len(chunks))):
            if cancelled.is_set():
                return None
            heads = self.cache.heads([keys[number] for number in turn])
            is_warm = all(head is not None and is_complete(head, self._lower.method) for head in heads)
            with nullcontext() if is_warm else self._lock, torch.no_grad():
                vectors = self._known_vectors([chunks[number] for number in turn], heads)
                nodes = select(self._lower, [chunks[number] for number in turn], [query] * len(turn), vectors=vectors)
            for index, (number, head) in enumerate(zip(turn, heads, strict=True)):
                selection.nodes[number] = nodes[index]
                if len(vectors.of_chunk(index)) > (0 if head is None else len(head.vector_nodes)):
                    selection.new_vectors[number] = vectors.of_chunk(index)
        return selection

    def _known_vectors(self, chunks: Sequence[Tensor], heads: Sequence[TreeHead | None]) -> NodeVectors:
        """Collect the cached selection vectors, and compute those of trees stored under a policy without vectors."""
        method = self._lower.method
        vectors = NodeVectors(self._lower, chunks, heads)
        missing: dict[int, list[Node]] = {}
        for index, (chunk, head) in enumerate(zip(chunks, heads, strict=True)):
            nodes = nodes_of(chunk, method)
            if head is not None and head.has(nodes) and not is_complete(head, method):
                missing[index] = [node for node in nodes if method.compares(node.level)]
        vectors.compute(missing)
        return vectors

    def _fetch(self, library: Library, selection: _Selection, retained: RetainedStates) -> dict[int, NodeStates | None]:
        """Fetch the retained nodes of all chunks from the cache, and add them to `retained`.

        Returns:
            By number, the chunks of which nodes are missing or selection vectors are new: the retained nodes that the
            cache has, or `None` if it has no tree.
        """
        missing: dict[int, NodeStates | None] = {}
        keys = self.keys(library)
        for group in _fetched_together(selection.nodes, self._lower.method):
            nodes = [selection.nodes[number] for number in group]
            # An entry that will be stored again must not be read into the buffers, where its keys are rotated.
            places = [None if number in selection.new_vectors else retained.new_states(number) for number in group]
            found = self.cache.get_many(
                [keys[number] for number in group], self._origin, complete=False, nodes=nodes, new_states=places
            )
            ready = {}
            for number, tree in zip(group, found, strict=True):
                if tree is None or number in selection.new_vectors or not tree.has(selection.nodes[number]):
                    missing[number] = tree
                else:
                    ready[number] = tree
            retained.add(ready)
        return missing

    def _encode(
        self,
        library: Library,
        selection: _Selection,
        missing: Mapping[int, NodeStates | None],
        retained: RetainedStates,
        progress: Progress,
        cancelled: Event,
    ) -> bool:
        """Encode the retained nodes that the cache does not have, in turns, and store them; `False` if cancelled."""
        method = self._lower.method
        keys = self.keys(library)
        if any(tree is None for tree in missing.values()):
            progress.begin(library.num_tokens, library.num_tokens - _num_tokens(library, list(missing)))
        with CacheWriter(self.cache) as writer:
            for turn in self._turns(library, list(missing)):
                if cancelled.is_set():
                    return False
                chunks = [library.chunks[number].ids for number in turn]
                known = [missing[number] for number in turn]
                wanted = [
                    self._nodes_to_encode(chunk, tree, selection.nodes[number])
                    for number, chunk, tree in zip(turn, chunks, known, strict=True)
                ]
                with self._lock, torch.no_grad():
                    trees = encode_missing(self._lower, chunks, known, wanted)
                retained.add(dict(zip(turn, trees, strict=True)))
                for number, before, tree in zip(turn, known, trees, strict=True):
                    grown = tree.with_vectors(selection.new_vectors.get(number, {}))
                    if before is None:
                        writer.put(keys[number], grown, complete=is_complete(grown, method))
                    else:
                        writer.add(keys[number], grown, lambda tree: is_complete(tree, method))
                progress.add(_num_tokens(library, turn))
        return True

    def _nodes_to_encode(self, chunk: Tensor, tree: NodeStates | None, retained: Sequence[Node]) -> Sequence[Node]:
        """Return the nodes of a chunk to encode, besides those of `tree`."""
        # With shared encoding, one forward pass of the chunk yields all nodes at the cost of the retained ones.
        if self._lower.method.node_encoding == "shared" and not (tree is not None and tree.has(retained)):
            return nodes_of(chunk, self._lower.method)
        return retained

    def _turns(self, library: Library, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Group chunks into turns, each encoded while holding the lock."""
        turn: list[int] = []
        tokens = 0
        for number in numbers:
            length = len(library.chunks[number].ids)
            if turn and tokens + length > _BATCHES_PER_TURN * self._lower.batch_tokens:
                yield turn
                turn, tokens = [], 0
            turn.append(number)
            tokens += length
        if turn:
            yield turn


def _fetched_together(nodes: Sequence[Sequence[Node]], method: SharedLLMConfig) -> Iterator[list[int]]:
    """Group the chunks that retain something, so that few states are in memory beside the assembled ones."""
    group: list[int] = []
    states = 0
    for number, of_chunk in enumerate(nodes):
        if of_chunk:
            group.append(number)
            states += sum(num_states(node.length, node.level, method) for node in of_chunk)
        if states >= _STATES_PER_FETCH:
            yield group
            group, states = [], 0
    if group:
        yield group


def _num_tokens(library: Library, numbers: Sequence[int]) -> int:
    return sum(len(library.chunks[number].ids) for number in numbers)

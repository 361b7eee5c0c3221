"""Encode documents with the lower model, through the tree cache.

`read` encodes every node of every chunk ahead of any question. `past_context` encodes for one question, in the four
steps of the pipeline: select → fetch → encode → assemble.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event, Semaphore
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from ..errors import CacheWarning, setting
from ..method.context_tree import Node
from ..model.encoding import encode_missing, encode_nodes, is_complete, read_query, select
from ..model.lower_model import LowerModel
from ..model.node_states import NodeStates
from ..model.node_vectors import NodeVectors
from ..model.past_context import PastContext
from ..selection.choice import nodes_of
from ..selection.policy import Query, load_policy
from ..text.embedding import Embedder
from ..text.library import Library
from ..text.search import token_relevance
from ..tree_cache import TreeCache, TreeKeys
from .fair_lock import FairLock
from .progress import Progress

__all__ = ["ReadPast", "TreeReader"]

_BATCHES_PER_TURN = 4  # of the lower model, before it releases the lock
_MAX_PENDING_WRITES = 32  # trees queued for the cache
_WRITERS = 8  # threads: each waits until the disk has its tree, and the model is faster than that


@dataclass(frozen=True)
class ReadPast:
    """A past context for one question, and the tokens of its chunks that needed no run of the lower model."""

    past: PastContext
    cached_tokens: int


@dataclass(frozen=True)
class _Encoded:
    """The trees of some chunks and the nodes that a question retains of them, by the number of the chunk."""

    trees: dict[int, NodeStates]
    nodes: dict[int, Sequence[Node]]
    cached_tokens: int


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

    @property
    def _encodes_whole_chunks(self) -> bool:
        return self._lower.method.node_encoding == "shared"

    # ---------------------------------------------------------------------------------------------- ahead of questions

    def read(self, library: Library, progress: Progress, cancelled: Event) -> None:
        """Encode every chunk whose tree is not in the cache yet, and store the trees."""
        keys = self.keys(library)
        first_of = {key: number for number, key in reversed(list(enumerate(keys)))}  # equal chunks are encoded once
        todo = sorted(number for key, number in first_of.items() if not self.cache.contains(key))
        if not todo:
            return
        progress.begin(library.num_tokens, library.num_tokens - _num_tokens(library, todo))
        with _CacheWriter(self.cache) as writer:
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
        selected = self._select(chunks, query)
        fetched = self._fetch(library, selected)
        encoded = self._encode(library, query, selected, fetched, progress, cancelled)
        return None if encoded is None else self._assemble(library, encoded)

    def _select(self, chunks: Sequence[Tensor], query: Query | None) -> list[list[Node]] | None:
        """Select for all chunks by their token ids; `None` for a policy over vectors, which selects as trees arrive."""
        if self._lower.method.compares_vectors:
            return None
        return select(self._lower, chunks, [query] * len(chunks))

    def _fetch(self, library: Library, selected: Sequence[Sequence[Node]] | None) -> dict[int, NodeStates | None]:
        """Fetch the trees of the chunks that retain something from the cache, by the number of the chunk."""
        wanted = [number for number in range(len(library.chunks)) if selected is None or selected[number]]
        fetched: dict[int, NodeStates | None] = {}
        for turn in self._turns(library, wanted):  # so that few whole trees are in memory at a time
            keys = [self._keys.chunk_key(library.chunks[number].ids) for number in turn]
            found = self.cache.get_many(keys, self._origin, complete=False)
            if selected is not None and not self._encodes_whole_chunks:
                found = [
                    tree if tree is None else _retained_part(tree, selected[number])
                    for number, tree in zip(turn, found, strict=True)
                ]
            fetched.update(zip(turn, found, strict=True))
        return fetched

    def _encode(
        self,
        library: Library,
        query: Query | None,
        selected: Sequence[Sequence[Node]] | None,
        fetched: Mapping[int, NodeStates | None],
        progress: Progress,
        cancelled: Event,
    ) -> _Encoded | None:
        """Encode the retained nodes that were not fetched, in turns, and store them in the cache."""
        method = self._lower.method
        ready = [
            number
            for number, tree in fetched.items()
            if tree is not None
            and (
                is_complete(tree, method)
                if selected is None or self._encodes_whole_chunks
                else tree.has(selected[number])
            )
        ]
        encoded = _Encoded({}, {}, 0)
        self._encode_turn(library, query, selected, fetched, ready, encoded)
        rest = [number for number in fetched if number not in encoded.trees]
        cached_tokens = library.num_tokens - _num_tokens(library, rest)
        if any(fetched[number] is None for number in rest):
            progress.begin(library.num_tokens, cached_tokens)
        with _CacheWriter(self.cache) as writer:
            for turn in self._turns(library, rest):
                if cancelled.is_set():
                    return None
                with self._lock:
                    self._encode_turn(library, query, selected, fetched, turn, encoded)
                for number in turn:
                    tree = encoded.trees[number]
                    if tree is fetched[number]:
                        cached_tokens += _num_tokens(library, [number])
                    else:
                        key = self._keys.chunk_key(library.chunks[number].ids)
                        writer.put(key, tree, complete=is_complete(tree, method))
                progress.add(_num_tokens(library, turn))
        return _Encoded(encoded.trees, encoded.nodes, cached_tokens)

    @torch.no_grad()
    def _encode_turn(
        self,
        library: Library,
        query: Query | None,
        selected: Sequence[Sequence[Node]] | None,
        fetched: Mapping[int, NodeStates | None],
        numbers: Sequence[int],
        encoded: _Encoded,
    ) -> None:
        """Add the trees and retained nodes of some chunks to `encoded`; the lower model runs for missing nodes only."""
        method = self._lower.method
        chunks = [library.chunks[number].ids for number in numbers]
        known = [fetched[number] for number in numbers]
        vectors: NodeVectors | None = None
        nodes: Sequence[Sequence[Node]]
        if selected is not None:
            nodes = [selected[number] for number in numbers]
        else:
            vectors = self._known_vectors(chunks, known)
            nodes = select(self._lower, chunks, [query] * len(chunks), vectors=vectors)
        # With shared encoding, one forward pass of the chunk yields all nodes at the cost of the retained ones.
        wanted = [nodes_of(chunk, method) for chunk in chunks] if self._encodes_whole_chunks else nodes
        trees = encode_missing(self._lower, chunks, known, wanted)
        for index, (number, tree) in enumerate(zip(numbers, trees, strict=True)):
            encoded.trees[number] = tree if vectors is None else tree.with_vectors(vectors.of_chunk(index))
            encoded.nodes[number] = nodes[index]

    def _known_vectors(self, chunks: Sequence[Tensor], known: Sequence[NodeStates | None]) -> NodeVectors:
        """Collect the fetched selection vectors, and compute those of trees stored under a policy without vectors."""
        method = self._lower.method
        vectors = NodeVectors(self._lower, chunks, known)
        missing: dict[int, list[Node]] = {}
        for index, (chunk, tree) in enumerate(zip(chunks, known, strict=True)):
            nodes = nodes_of(chunk, method)
            if tree is not None and tree.has(nodes) and not is_complete(tree, method):
                missing[index] = [node for node in nodes if method.compares(node.level)]
        vectors.compute(missing)
        return vectors

    def _assemble(self, library: Library, encoded: _Encoded) -> ReadPast:
        """Assemble the retained states of all chunks; chunks dropped by `max_injected_states` have none."""
        any_tree = next(iter(encoded.trees.values()))  # at least one chunk is always retained
        trees, nodes = [], []
        for number, chunk in enumerate(library.chunks):
            trees.append(encoded.trees[number] if number in encoded.trees else any_tree.empty(chunk.ids))
            nodes.append(encoded.nodes.get(number, ()))
        past = PastContext.from_nodes(trees, library.chunk_positions, nodes)
        return ReadPast(past.to(self._lower.device), encoded.cached_tokens)

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


def _retained_part(tree: NodeStates, nodes: Sequence[Node]) -> NodeStates:
    """Copy the nodes that a question retains of a tree, so that the memory of the others is freed.

    Returns:
        The tree itself if it has no other nodes, or if a retained node is missing.
    """
    if not tree.has(nodes) or tuple(nodes) == tree.nodes:
        return tree
    part = tree.keep(nodes)
    return replace(part, token_ids=part.token_ids.clone(), vectors=part.vectors.clone())


def _num_tokens(library: Library, numbers: Sequence[int]) -> int:
    return sum(len(library.chunks[number].ids) for number in numbers)


class _CacheWriter:
    """Stores trees in background threads while the model continues; leaving the block waits for all writes."""

    def __init__(self, cache: TreeCache) -> None:
        self._cache = cache
        self._threads = ThreadPoolExecutor(_WRITERS, thread_name_prefix="sharedllm-cache")
        self._slots = Semaphore(_MAX_PENDING_WRITES)
        self._writes: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown(wait=True)
        if error is None:
            for write in self._writes:
                write.result()

    def put(self, key: str, states: NodeStates, *, complete: bool) -> None:
        self._slots.acquire()

        def write() -> None:
            try:
                self._cache.put(key, states, complete=complete)
            finally:
                self._slots.release()

        self._writes.append(self._threads.submit(write))

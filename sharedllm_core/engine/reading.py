"""Reading documents with the lower model, through the tree cache.

Two ways, as the method has: `read` encodes every node of every chunk, ahead of any question. `past_context` takes what
the cache has, encodes what a question retains beside that, and keeps it.
"""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Semaphore
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from ..errors import CacheWarning
from ..method.context_tree import Node
from ..model.encoding import encode_nodes, read_query
from ..model.modeling import SharedLLMForCausalLM
from ..model.node_states import NodeStates
from ..model.past_context import PastContext
from ..model.retention import choose_nodes, encode_retained, is_complete
from ..selection.choice import choose_of_texts
from ..text.library import Library
from ..tree_cache import TreeCache, TreeKeys
from .fair_lock import FairLock
from .progress import Progress

__all__ = ["ReadPast", "TreeReader"]

_BATCHES_A_TURN = 4  # of the lower model, before another thread may have it
_WAITING_WRITES = 32  # trees that wait to be written, at most


@dataclass(frozen=True)
class ReadPast:
    """A past context for one question, and how many of its tokens needed no run of the lower model."""

    past: PastContext
    cached_tokens: int


class TreeReader:
    """Reads libraries with one model and one cache.

    Args:
        model: of whose lower model the trees are.
        cache: where trees are kept.
        lock: held while the model runs.
        fingerprint: of the lower model's weights.
    """

    def __init__(self, model: SharedLLMForCausalLM, cache: TreeCache, lock: FairLock, fingerprint: str) -> None:
        self.model = model
        self.cache = cache
        self._lock = lock
        cache_dtype = "int8" if cache.int8 else "model"
        self._keys = TreeKeys(model.lower_model, cache.namespace, cache_dtype, fingerprint=fingerprint)
        self._origin = model.lower_model.origin()

    def read(self, library: Library, progress: Progress, cancelled: Event) -> None:
        """Encode every chunk whose tree is not in the cache yet."""
        keys = self.keys(library)
        first_of = {key: number for number, key in reversed(list(enumerate(keys)))}  # equal chunks are read once
        todo = sorted(number for key, number in first_of.items() if not self.cache.contains(key))
        if not todo:
            return
        progress.begin(library.num_tokens, library.num_tokens - _num_tokens(library, todo))
        with _Writer(self.cache) as writer:
            for turn in self._turns(library, todo):
                if cancelled.is_set():
                    return
                new = [number for number in turn if not self.cache.contains(keys[number])]  # another may have read it
                with self._lock, torch.no_grad():
                    encoded = encode_nodes(self.model.lower_model, [library.chunks[number].ids for number in new])
                for number, states in zip(new, encoded, strict=True):
                    writer.put(keys[number], states, complete=True)
                progress.add(_num_tokens(library, turn))
        if lost := sum(not self.cache.contains(keys[number]) for number in todo):
            warnings.warn(
                f"of {len(todo)} trees just made the tree cache has lost {lost}, and each question makes them again; "
                "raise its max_bytes, or mend what it warned of",
                CacheWarning,
                stacklevel=3,
            )

    def past_context(
        self, library: Library, query_ids: Tensor, progress: Progress, cancelled: Event
    ) -> ReadPast | None:
        """The past context that a question retains of a library; `None` when it is no longer wanted."""
        lower = self.model.lower_model
        with self._lock, torch.no_grad():
            query = read_query(lower, query_ids, [chunk.ids for chunk in library.chunks])
        # Where no vectors are compared, the texts decide at once for all chunks, which may share a budget. Under a
        # limit, chunks in which the question finds least are left out; nothing of them is looked up or read.
        chosen: list[list[Node]] | None = None
        if not lower.method.compares_vectors:
            chosen = choose_of_texts(lower.method, [chunk.ids for chunk in library.chunks], query)
        left_out = {number for number, nodes in enumerate(chosen or ()) if not nodes}
        keys = self.keys(library)
        wanted = [number for number in range(len(keys)) if number not in left_out]
        found = self.cache.get_many([keys[number] for number in wanted], self._origin, complete=False)
        known = dict(zip(wanted, found, strict=True))
        states = {i: entry for i, entry in known.items() if entry is not None and is_complete(entry, lower.method)}
        if chosen is None:
            retained = dict(zip(states, choose_nodes(lower, list(states.values()), query), strict=True))
        else:
            retained = {number: chosen[number] for number in states}
        rest = [number for number in known if number not in states]
        cached_tokens = library.num_tokens - _num_tokens(library, rest)
        if any(known[number] is None for number in rest):
            progress.begin(library.num_tokens, cached_tokens)
        with _Writer(self.cache) as writer:
            for turn in self._turns(library, rest):
                if cancelled.is_set():
                    return None
                ids = [library.chunks[number].ids for number in turn]
                with self._lock, torch.no_grad():
                    of_turn = None if chosen is None else [chosen[number] for number in turn]
                    encoded, nodes = encode_retained(lower, ids, [known[number] for number in turn], query, of_turn)
                for number, entry, of_chunk in zip(turn, encoded, nodes, strict=True):
                    states[number], retained[number] = entry, of_chunk
                    if entry is known[number]:
                        cached_tokens += _num_tokens(library, [number])
                    else:
                        writer.put(keys[number], entry, complete=is_complete(entry, lower.method))
                progress.add(_num_tokens(library, turn))
        a_chunk = next(iter(states.values()), None)
        for number in left_out:
            assert a_chunk is not None, "one chunk is always retained"
            states[number], retained[number] = a_chunk.nothing_of(library.chunks[number].ids), []
        order = sorted(states)
        past = PastContext.from_nodes(
            [states[number] for number in order], library.chunk_positions, [retained[number] for number in order]
        )
        return ReadPast(past.to(lower.device), cached_tokens)

    def cached_tokens(self, library: Library) -> int:
        """Tokens of the chunks whose complete trees the cache has."""
        has = [number for number, key in enumerate(self.keys(library)) if self.cache.contains(key)]
        return _num_tokens(library, has)

    def keys(self, library: Library) -> list[str]:
        """The keys of the trees of a library's chunks."""
        return [self._keys.of_chunk(chunk.ids) for chunk in library.chunks]

    def _turns(self, library: Library, numbers: Sequence[int]) -> Iterator[list[int]]:
        """Chunks in groups that the lower model reads without letting go of it."""
        turn: list[int] = []
        tokens = 0
        for number in numbers:
            length = len(library.chunks[number].ids)
            if turn and tokens + length > _BATCHES_A_TURN * self.model.lower_model.batch_tokens:
                yield turn
                turn, tokens = [], 0
            turn.append(number)
            tokens += length
        if turn:
            yield turn


def _num_tokens(library: Library, numbers: Sequence[int]) -> int:
    return sum(len(library.chunks[number].ids) for number in numbers)


class _Writer:
    """Puts trees into a cache while the model goes on; leaving it waits until all are there."""

    def __init__(self, cache: TreeCache) -> None:
        self._cache = cache
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sharedllm-cache")
        self._room = Semaphore(_WAITING_WRITES)
        self._writes: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(wait=True)
        if error is None:
            for write in self._writes:
                write.result()

    def put(self, key: str, states: NodeStates, *, complete: bool) -> None:
        self._room.acquire()

        def write() -> None:
            try:
                self._cache.put(key, states, complete=complete)
            finally:
                self._room.release()

        self._writes.append(self._thread.submit(write))

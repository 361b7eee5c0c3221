"""The first pipeline step: select the nodes that a question retains of each chunk.

Combines the rules of context trees, the selection policy and the chunks' token ids. Independent of KV states: fetching
and encoding them are the next steps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..method.best_first import best_nodes
from ..method.config import SharedLLMConfig
from ..method.context_tree import Borders, Node, Pair, WholeTree, num_states, retained_nodes, whole_chunk, whole_tree
from .policy import Halves, Query, SelectionPolicy, load_policy
from .token_set import TokenSet

__all__ = ["VectorsOf", "nodes_of", "select", "select_for_rows", "sentence_starts", "tree_of"]

# Suffixes: P pairs, E hidden size.

#: Takes pairs by the number of their chunk; returns the halves' selection vectors [P, 2, E].
VectorsOf = Callable[[Mapping[int, Pair]], Tensor]


def select(
    method: SharedLLMConfig,
    chunks: Sequence[Tensor],
    query: Query | None,
    vectors_of: VectorsOf | None = None,
    noise: Callable[[], float] | None = None,
) -> list[list[Node]]:
    """Select the nodes that one question retains of each chunk; see `select_for_rows`."""
    return select_for_rows(method, chunks, [query] * len(chunks), vectors_of, noise)


def select_for_rows(
    method: SharedLLMConfig,
    chunks: Sequence[Tensor],
    queries: Sequence[Query | None],
    vectors_of: VectorsOf | None = None,
    noise: Callable[[], float] | None = None,
) -> list[list[Node]]:
    """Select the nodes to retain of each chunk, for one question or for the rows of a batch.

    Args:
        method: the configuration of the method.
        chunks: ids [l] of each chunk, none empty. With scope `"past"`, all chunks of a question: they share one budget.
        queries: the query of each chunk. Chunks with the same query object belong to one row.
        vectors_of: computes selection vectors; only policies that compare vectors call it.
        noise: draws the noise of split points, see `retained_nodes`; unused with scope `"past"`.
    """
    policy = load_policy(method.policy)
    rows = _rows(chunks, queries)
    if method.scope == "past":
        retained = {number: nodes for row in rows for number, nodes in row.select_best(policy, method).items()}
        return [retained[number] for number in range(len(chunks))]

    def selects_right(pairs: Mapping[int, Pair]) -> list[bool]:
        vectors_P2E = None
        if method.compares_vectors:
            assert vectors_of is not None, "the policy compares vectors"
            vectors_P2E = vectors_of(pairs)
        right = {number: is_right for row in rows for number, is_right in row.compare(policy, pairs, vectors_P2E)}
        return [right[number] for number in pairs]

    roots = [whole_chunk(len(chunk)) for chunk in chunks]
    borders = [sentence_starts(chunk, method) for chunk in chunks] if method.split_after else ()
    return retained_nodes(roots, method.tree_depth, selects_right, noise, borders)


@dataclass(frozen=True)
class _Row:
    """The chunks of one question: their numbers among all chunks, and their ids."""

    query: Query | None
    numbers: list[int]
    chunks: list[Tensor]

    def compare(
        self, policy: SelectionPolicy, pairs: Mapping[int, Pair], vectors_P2E: Tensor | None
    ) -> list[tuple[int, bool]]:
        """Return the chunk number of each of this row's pairs, and whether the right half is selected."""
        own = {index: pairs[number] for index, number in enumerate(self.numbers) if number in pairs}
        if vectors_P2E is not None and len(own) < len(pairs):
            rows = {number: row for row, number in enumerate(pairs)}
            vectors_P2E = vectors_P2E[[rows[self.numbers[index]] for index in own]]
        right = policy.selects_right(Halves(own, self.chunks, vectors_P2E), self.query)
        return [(self.numbers[index], is_right) for index, is_right in zip(own, right, strict=True)]

    def select_best(self, policy: SelectionPolicy, method: SharedLLMConfig) -> dict[int, list[Node]]:
        """Search this row's trees best-first; return the retained nodes by the number of the chunk."""
        best = best_nodes(
            [tree_of(chunk, method) for chunk in self.chunks],
            policy.scores(self.chunks, self.query),
            lambda node: num_states(node.length, node.level, method),
            method.states_budget(sum(len(chunk) for chunk in self.chunks)),
            method.min_score_share,
            method.max_injected_states,
        )
        return dict(zip(self.numbers, best, strict=True))


def _rows(chunks: Sequence[Tensor], queries: Sequence[Query | None]) -> list[_Row]:
    rows: dict[int, _Row] = {}
    for number, (chunk, query) in enumerate(zip(chunks, queries, strict=True)):
        row = rows.setdefault(id(query), _Row(query, [], []))
        row.numbers.append(number)
        row.chunks.append(chunk)
    return list(rows.values())


# ------------------------------------------------------------------------------------------------- trees and borders


def nodes_of(chunk: Tensor, method: SharedLLMConfig) -> tuple[Node, ...]:
    """Return every node of a chunk that a question may retain."""
    return tree_of(chunk, method).retainable(root=method.scope == "past")


def tree_of(chunk: Tensor, method: SharedLLMConfig) -> WholeTree:
    """Return the whole tree of a chunk."""
    after, before = method.sentence_tokens
    # Called for every chunk of every question, so trees are cached. Without borders, equal lengths share one tree.
    ids = chunk.to("cpu", torch.int32).numpy().tobytes() if after else None
    return _tree(len(chunk), method.tree_depth, method.min_node_tokens, ids, after, before)


@lru_cache(maxsize=4096)
def _tree(
    length: int, depth: int, least: int, ids: bytes | None, after: frozenset[int], before: frozenset[int]
) -> WholeTree:
    borders = () if ids is None else _starts(np.frombuffer(ids, np.int32), after, before)
    return whole_tree(whole_chunk(length), depth, least, borders)


def sentence_starts(ids: Tensor, method: SharedLLMConfig) -> Borders:
    """Return the positions between a token of `split_after` and one of `split_before`, ascending."""
    after, before = method.sentence_tokens
    return _starts(ids.cpu().numpy(), after, before) if after else []


def _starts(numbers: np.ndarray, after: frozenset[int], before: frozenset[int]) -> list[int]:
    is_start = _token_set(after).has(numbers[:-1])
    if before:
        is_start &= _token_set(before).has(numbers[1:])
    positions: list[int] = (is_start.nonzero()[0] + 1).tolist()
    return positions


_token_set = lru_cache(maxsize=16)(TokenSet)

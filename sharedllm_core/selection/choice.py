"""Which nodes a question retains: the tree's rules, the selection policy and the chunks' texts, brought together.

Nothing here knows states; who has only some of them, and who makes the others, is a matter of `retention.py`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..method.best_first import best_nodes
from ..method.config import SharedLLMConfig
from ..method.context_tree import Borders, Node, WholeTree, num_states, retained_nodes, whole_chunk, whole_tree
from .policy import Halves, Query, load_policy
from .token_set import TokenSet

__all__ = ["borders_of", "choose", "choose_of_texts", "nodes_of", "sentence_starts", "tree_of"]


def borders_of(chunks: Sequence[Tensor], method: SharedLLMConfig) -> Borders:
    """The places of each chunk where a sentence begins; nothing for a method without borders."""
    return [sentence_starts(chunk, method) for chunk in chunks] if method.split_after else ()


def sentence_starts(ids: Tensor, method: SharedLLMConfig) -> list[int]:
    """The places behind a token of `split_after` that are before one of `split_before`, ascending."""
    after, before = method.sentence_tokens
    return _starts(ids.cpu().numpy(), after, before) if after else []


def _starts(numbers: np.ndarray, after: frozenset[int], before: frozenset[int]) -> list[int]:
    is_start = _token_set(after).has(numbers[:-1])
    if before:
        is_start &= _token_set(before).has(numbers[1:])
    places: list[int] = (is_start.nonzero()[0] + 1).tolist()
    return places


_token_set = lru_cache(maxsize=16)(TokenSet)


def choose(
    method: SharedLLMConfig,
    chunks: Sequence[Tensor],
    vectors: Callable[[Sequence[Node]], Tensor],
    query: Query | None,
    noise: Callable[[], float] | None = None,
) -> list[list[Node]]:
    """The nodes that a question retains of each chunk of a past context.

    Args:
        method: the numbers of the method.
        chunks: ids of each chunk, none empty. With scope `"past"` all of them: they share one budget.
        vectors: gives selection vectors of nodes; asked only by policies that compare them.
        query: see `read_query`.
        noise: of split points, see `retained_nodes`; with scope `"past"` there is none.
    """
    if method.scope == "past":
        return [[node._replace(chunk=i) for node in of] for i, of in enumerate(_best(method, chunks, query))]
    policy = load_policy(method.policy)
    halves = Halves(vectors, chunks.__getitem__)
    roots = [whole_chunk(i, len(chunk)) for i, chunk in enumerate(chunks)]
    return retained_nodes(
        roots,
        method.tree_depth,
        lambda pairs: policy.selects_right(pairs, halves, query),
        noise,
        borders_of(chunks, method),
    )


def choose_of_texts(method: SharedLLMConfig, chunks: Sequence[Tensor], query: Query | None) -> list[list[Node]]:
    """The same for policies that compare no vectors, of texts alone; nodes are named as states name them."""
    if method.scope == "past":
        return _best(method, chunks, query)
    chosen = choose(method, chunks, _no_vectors, query)
    return [[node._replace(chunk=0) for node in nodes] for nodes in chosen]


def _no_vectors(_: Sequence[Node]) -> Tensor:
    raise AssertionError("the policy compares vectors, and only texts are at hand")


def _best(method: SharedLLMConfig, chunks: Sequence[Tensor], query: Query | None) -> list[list[Node]]:
    return best_nodes(
        [tree_of(chunk, method) for chunk in chunks],
        load_policy(method.policy).scores(Halves(_no_vectors, chunks.__getitem__), query),
        lambda node: num_states(node.length, node.level, method),
        method.states_budget(sum(len(chunk) for chunk in chunks)),
        method.min_score_share,
        method.max_injected_states,
    )


def nodes_of(chunk: Tensor, method: SharedLLMConfig) -> tuple[Node, ...]:
    """Every node of a chunk that some question retains, as states name them: of chunk number 0."""
    return tree_of(chunk, method).retainable(root=method.scope == "past")


def tree_of(chunk: Tensor, method: SharedLLMConfig) -> WholeTree:
    """The whole tree of a chunk, as states name its nodes: of chunk number 0."""
    after, before = method.sentence_tokens
    # Every question asks it of every chunk. Without borders all chunks of a length have the same tree.
    ids = chunk.to("cpu", torch.int32).numpy().tobytes() if after else None
    return _tree(len(chunk), method.tree_depth, method.min_node_tokens, ids, after, before)


@lru_cache(maxsize=4096)
def _tree(
    length: int, depth: int, least: int, ids: bytes | None, after: frozenset[int], before: frozenset[int]
) -> WholeTree:
    borders = () if ids is None else (_starts(np.frombuffer(ids, np.int32), after, before),)
    return whole_tree(whole_chunk(0, length), depth, least, borders)

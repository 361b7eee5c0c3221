"""Which nodes a question retains: the tree's rules, the selection policy and the chunks' texts, brought together.

Nothing here knows states; who has only some of them, and who makes the others, is a matter of `retention.py`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from torch import Tensor

from .config import SharedLLMConfig
from .context_tree import Borders, Node, all_nodes, best_nodes, retained_nodes, whole_chunk
from .downsampling import num_states
from .selection import Halves, Query, load_policy
from .token_set import TokenSet

__all__ = ["borders_of", "choose", "choose_of_texts", "nodes_of", "sentence_starts"]


def borders_of(chunks: Sequence[Tensor], method: SharedLLMConfig) -> Borders:
    """The places of each chunk where a sentence begins; nothing for a method without borders."""
    return [sentence_starts(chunk, method) for chunk in chunks] if method.split_after else ()


def sentence_starts(ids: Tensor, method: SharedLLMConfig) -> list[int]:
    """The places behind a token of `split_after` that are before one of `split_before`, ascending."""
    after, before = method.sentence_tokens
    if not after:
        return []
    numbers = ids.cpu().numpy()
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
    policy = load_policy(method.policy)
    halves = Halves(vectors, chunks.__getitem__)
    roots = [whole_chunk(i, len(chunk)) for i, chunk in enumerate(chunks)]
    borders = borders_of(chunks, method)
    if method.scope == "past":
        return best_nodes(
            roots,
            method.tree_depth,
            policy.scores(halves, query),
            lambda node: num_states(node.length, node.level, method),
            method.states_budget(sum(len(chunk) for chunk in chunks)),
            borders,
            method.min_score_share,
            method.min_node_tokens,
        )
    return retained_nodes(
        roots, method.tree_depth, lambda pairs: policy.selects_right(pairs, halves, query), noise, borders
    )


def choose_of_texts(method: SharedLLMConfig, chunks: Sequence[Tensor], query: Query | None) -> list[list[Node]]:
    """The same for policies that compare no vectors, of texts alone; nodes are named as states name them."""
    chosen = choose(method, chunks, _no_vectors, query)
    return [[node._replace(chunk=0) for node in nodes] for nodes in chosen]


def _no_vectors(_: Sequence[Node]) -> Tensor:
    raise AssertionError("the policy compares vectors, and only texts are at hand")


def nodes_of(chunk: Tensor, method: SharedLLMConfig) -> list[Node]:
    """Every node of a chunk that some question retains, as states name them: of chunk number 0."""
    places = tuple(sentence_starts(chunk, method))
    return list(_nodes(len(chunk), method.tree_depth, method.scope == "past", method.min_node_tokens, places))


@lru_cache(maxsize=4096)  # every question asks it of every chunk
def _nodes(length: int, depth: int, root: bool, least: int, places: tuple[int, ...]) -> tuple[Node, ...]:
    borders = (places,) if places else ()
    return tuple(all_nodes(whole_chunk(0, length), depth, root=root, least=least, borders=borders))

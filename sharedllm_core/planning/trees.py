"""How many nodes, tokens and states the context trees of a past context have (paper, section 3.2).

Counted with `context_tree` itself, a full chunk once. Where the nodes of a chunk share a run,
that run counts as one node with the states of all of them. Only the last chunk may be shorter; where its length is odd
the right half is the longer one, and right halves are taken to be selected. Policy `right` is thus counted exactly, and
another policy may retain a few states more or fewer, in the last chunk alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..method.best_first import best_nodes
from ..method.config import SharedLLMConfig
from ..method.context_tree import Node, Pair, WholeTree, all_nodes, num_states, retained_nodes, whole_chunk, whole_tree

__all__ = ["TreeCounts", "count_all", "count_retained"]

#: The nodes of a chunk of so many tokens that are run for states, and those run for selection vectors.
_OneChunk = Callable[[int], tuple[list[Node], list[Node]]]


@dataclass(frozen=True)
class TreeCounts:
    """What the lower model runs of a past context.

    Attributes:
        nodes: ((tokens, kept states), number) of the runs in which states are computed.
        vectors: (tokens, number) of the nodes whose selection vectors are computed.
        past_tokens: of the past context.
    """

    nodes: tuple[tuple[tuple[int, int], int], ...]
    vectors: tuple[tuple[int, int], ...]
    past_tokens: int

    @property
    def num_nodes(self) -> int:
        """Runs of the lower model: nodes, or chunks whose nodes share one."""
        return sum(times for _, times in self.nodes)

    @property
    def num_tokens(self) -> int:
        """Tokens that the lower model reads for states."""
        return sum(length * times for (length, _), times in self.nodes)

    @property
    def num_states(self) -> int:
        """States that are kept, in each of the M layers."""
        return sum(states * times for (_, states), times in self.nodes)

    @property
    def num_vectors(self) -> int:
        """Selection vectors."""
        return sum(times for _, times in self.vectors)


def count_retained(past_tokens: int, method: SharedLLMConfig) -> TreeCounts:
    """For one question: the retained nodes, and the vectors of the halves that its policy compares.

    With scope `"past"`, for a question that finds something everywhere and so uses its whole budget.
    """
    if method.scope == "past":
        return _count_best(past_tokens, method)

    def one_chunk(length: int) -> tuple[list[Node], list[Node]]:
        compared: list[Node] = []

        def select_right(pairs: Mapping[int, Pair]) -> list[bool]:
            compared.extend(half for pair in pairs.values() for half in pair)
            return [True] * len(pairs)

        [nodes] = retained_nodes([whole_chunk(length)], method.tree_depth, select_right)
        return nodes, compared if method.compares_vectors else []

    return _count(past_tokens, method, one_chunk)


def _count_best(past_tokens: int, method: SharedLLMConfig) -> TreeCounts:
    def tree(length: int) -> WholeTree:
        return whole_tree(whole_chunk(length), method.tree_depth, method.min_node_tokens)

    full, rest = divmod(past_tokens, method.chunk_tokens)
    retained = best_nodes(
        [tree(method.chunk_tokens)] * full + ([tree(rest)] if rest else []),
        lambda _, leaves: [node.end for node in leaves],
        lambda node: num_states(node.length, node.level, method),
        method.states_budget(past_tokens),
        limit=method.max_injected_states,
    )
    nodes: Counter[tuple[int, int]] = Counter()
    for of_chunk in filter(None, retained):
        nodes.update(_runs(of_chunk, method))
    return TreeCounts(tuple(sorted(nodes.items())), (), past_tokens)


def _runs(nodes: Sequence[Node], method: SharedLLMConfig) -> Counter[tuple[int, int]]:
    """The (tokens, kept states) of the runs that make the states of some nodes of one chunk, which cover it."""
    states = [num_states(node.length, node.level, method) for node in nodes]
    if method.node_encoding == "shared":
        return Counter([(max(node.end for node in nodes), sum(states))])
    return Counter((node.length, count) for node, count in zip(nodes, states, strict=True))


def count_all(past_tokens: int, method: SharedLLMConfig) -> TreeCounts:
    """For all questions: every node of every chunk, and the vectors of those that the policy may compare."""

    def one_chunk(length: int) -> tuple[list[Node], list[Node]]:
        root, of_past = whole_chunk(length), method.scope == "past"
        nodes = all_nodes(root, method.tree_depth, root=of_past, least=method.min_node_tokens)
        return nodes, [node for node in nodes if method.compares(node.level)]

    return _count(past_tokens, method, one_chunk)


def _count(past_tokens: int, method: SharedLLMConfig, one_chunk: _OneChunk) -> TreeCounts:
    full, rest = divmod(past_tokens, method.chunk_tokens)
    nodes: Counter[tuple[int, int]] = Counter()
    vectors: Counter[int] = Counter()
    for length, times in ((method.chunk_tokens, full), (rest, 1)):
        if length and times:
            run, compared = one_chunk(length)
            for shape, number in _runs(run, method).items():
                nodes[shape] += number * times
            for node in compared:
                vectors[node.length] += times
    return TreeCounts(tuple(sorted(nodes.items())), tuple(sorted(vectors.items())), past_tokens)

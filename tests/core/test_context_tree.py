"""Pure tree arithmetic: no model, only a function that selects."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core import SharedLLMConfig
from sharedllm_core.method.best_first import best_nodes
from sharedllm_core.method.context_tree import (
    Node,
    all_nodes,
    kept_tokens,
    num_states,
    retained_nodes,
    split,
    whole_chunk,
    whole_tree,
)

lengths = st.lists(st.integers(1, 300), min_size=1, max_size=6)
depths = st.integers(0, 6)
noises = st.floats(-500, 500)


def roots(lengths):
    return [whole_chunk(length) for length in lengths]


@given(lengths, depths, st.randoms(use_true_random=False), st.one_of(st.none(), noises))
def test_retained_nodes_tile_every_chunk_whatever_is_selected(lengths, depth, random, noise):
    select = lambda pairs: [random.random() < 0.5 for _ in pairs]  # noqa: E731
    retained = retained_nodes(roots(lengths), depth, select, None if noise is None else lambda: noise)
    for length, nodes in zip(lengths, retained, strict=True):
        spans = sorted((node.start, node.end) for node in nodes)
        assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
        assert spans[-1][1] == length
        assert all(start < end for start, end in spans)


@given(lengths, st.integers(1, 6), st.randoms(use_true_random=False))
def test_retained_nodes_go_from_coarse_to_fine(lengths, depth, random):
    for nodes in retained_nodes(roots(lengths), depth, lambda pairs: [random.random() < 0.5 for _ in pairs]):
        levels = [node.level for node in nodes]
        assert levels == sorted(levels)
        assert max(levels) <= depth


@given(st.integers(0, 6))
def test_a_full_chunk_has_one_node_per_level_and_two_at_the_last(depth):
    (nodes,) = retained_nodes([whole_chunk(1024)], depth, lambda pairs: [True] * len(pairs))
    assert [node.level for node in nodes] == ([*range(1, depth + 1), depth] if depth else [0])
    assert len(nodes) == depth + 1


def test_the_right_half_is_split_further_when_it_is_selected():
    (nodes,) = retained_nodes([whole_chunk(16)], 3, lambda pairs: [True] * len(pairs))
    assert nodes == [Node(1, 0, 8), Node(2, 8, 12), Node(3, 12, 14), Node(3, 14, 16)]


def test_a_node_of_one_token_is_retained_at_the_level_it_has():
    (nodes,) = retained_nodes([whole_chunk(5)], 3, lambda pairs: [False] * len(pairs))
    assert nodes == [Node(1, 2, 5), Node(2, 1, 2), Node(2, 0, 1)]
    assert retained_nodes([whole_chunk(1)], 3, lambda pairs: []) == [[Node(0, 0, 1)]]


def test_the_policy_is_asked_once_per_level_for_all_chunks_and_not_at_the_last():
    asked = []
    retained_nodes(roots([64, 64, 10]), 3, lambda pairs: asked.append(len(pairs)) or [True] * len(pairs))
    assert asked == [3, 3]


@given(st.integers(2, 300), noises)
def test_a_noisy_split_leaves_a_token_on_both_sides(length, noise):
    left, right = split(Node(1, 10, 10 + length), noise)
    assert (left.start, left.end, right.end) == (10, right.start, 10 + length)
    assert left.length >= 1
    assert right.length >= 1
    assert left.level == right.level == 2


@given(st.integers(1, 300), st.integers(0, 5), st.randoms(use_true_random=False))
def test_all_nodes_hold_whatever_any_policy_retains(length, depth, random):
    chunk = whole_chunk(length)
    (retained,) = retained_nodes([chunk], depth, lambda pairs: [random.random() < 0.5 for _ in pairs])
    everything = all_nodes(chunk, depth)
    assert set(retained) <= set(everything)
    assert len(everything) == len(set(everything))


def test_a_full_chunk_has_two_and_four_and_eight_nodes():
    levels = [node.level for node in all_nodes(whole_chunk(1024), 3)]
    assert [levels.count(level) for level in (0, 1, 2, 3)] == [0, 2, 4, 8]


@given(st.integers(1, 2000), st.integers(0, 3), st.sampled_from([4, 6.7, 8, 100]))
def test_kept_tokens_are_spread_over_the_node(length, level, ratio):
    config = SharedLLMConfig(injection_layers=1, compression_ratio=ratio)
    states = num_states(length, level, config)
    for sample_at, edge in (("interval_end", length - 1), ("interval_start", 0)):
        kept = kept_tokens(length, states, sample_at)
        assert len(kept) == states
        assert kept == sorted(set(kept))
        assert kept[-1 if sample_at == "interval_end" else 0] == edge
        assert max((b - a for a, b in pairwise(kept)), default=0) <= -(-length // states)


@given(st.integers(1, 4000), st.integers(0, 3))
def test_a_node_keeps_one_state_per_alpha_tokens_rounded_up(length, level):
    states = num_states(length, level, SharedLLMConfig(injection_layers=1))
    alpha = 32 // 2**level
    assert (states - 1) * alpha < length <= states * alpha


@given(st.integers(1, 5), depths)
def test_chunks_of_equal_length_are_split_alike_by_noise(count, depth):
    drawn = iter(range(1, 100))
    retained = retained_nodes(
        roots([64] * count), depth, lambda pairs: [True] * len(pairs), lambda: next(drawn) % 5 - 2
    )
    assert all(nodes == retained[0] for nodes in retained)
    assert next(drawn) == depth + 1, "once per level"


# ------------------------------------------------------------------------------------------------ borders

borders = st.lists(st.integers(1, 400), unique=True).map(sorted)


@given(st.integers(2, 400), st.integers(0, 5), borders, st.randoms(use_true_random=False))
def test_nodes_tile_chunks_with_borders_too_and_all_nodes_hold_them(length, depth, places, random):
    chunk = whole_chunk(length)
    select = lambda pairs: [random.random() < 0.5 for _ in pairs]  # noqa: E731
    (retained,) = retained_nodes([chunk], depth, select, borders=[places])
    assert sorted(n for node in retained for n in range(node.start, node.end)) == list(range(length))
    assert set(retained) <= set(all_nodes(chunk, depth, borders=places))


@given(st.integers(2, 400), borders)
def test_a_split_is_at_the_nearest_border_within_a_quarter_or_else_in_the_middle(length, places):
    left, right = split(whole_chunk(length), borders=places)
    near = [place for place in places if abs(place - length // 2) <= length // 4 and 0 < place < length]
    assert left.end == right.start
    assert left.end == min(near, key=lambda place: (abs(place - length // 2), place), default=length // 2)


# ------------------------------------------------------------------------------------------------ best first


def search(lengths, score, budget, places=(), worth=0.0):
    """Best-first search over trees of depth 3 of chunks of these lengths; `score` scores a node of a chunk."""
    trees = [whole_tree(root, 3, borders=places) for root in roots(lengths)]
    return best_nodes(trees, lambda chunk, nodes: [score(chunk, node) for node in nodes], _size, budget, worth)


def _size(node):
    return max(1, -(-node.length // 2 ** (3 - node.level)))  # α of 8, 4, 2, 1


@given(
    st.lists(st.integers(1, 64), min_size=1, max_size=5),
    st.integers(0, 400),
    st.dictionaries(st.integers(0, 63), st.integers(0, 9)),
    borders,
)
def test_the_best_nodes_tile_every_chunk_and_keep_within_the_budget(lengths, budget, values, places):
    score = lambda _, node: float(sum(values.get(token, 0) for token in range(node.start, node.end)))  # noqa: E731
    retained = search(lengths, score, budget, places)
    for number, nodes in enumerate(retained):
        assert sorted(n for node in nodes for n in range(node.start, node.end)) == list(range(lengths[number]))
        everything = all_nodes(whole_chunk(lengths[number]), 3, root=True, borders=places)
        assert set(nodes) <= set(everything)
    spent = sum(_size(node) for nodes in retained for node in nodes)
    assert spent <= max(budget, sum(_size(root) for root in roots(lengths)))


def test_the_search_goes_to_the_best_leaf_of_any_chunk_first_and_leaves_what_says_nothing_whole():
    says = {(1, 40): 5.0, (0, 3): 2.0}  # tokens of a chunk that the question asks for

    def score(chunk, node):
        return sum(worth for (its, at), worth in says.items() if its == chunk and node.start <= at < node.end)

    lengths = [64, 64, 64]
    one_path = search(lengths, score, sum(map(_size, roots(lengths))) + 24)
    assert [len(nodes) for nodes in one_path] == [1, 4, 1], "the states last for one path, and it is the better one's"
    assert Node(3, 40, 48) in one_path[1]
    both = search(lengths, score, 10_000)
    assert [len(nodes) for nodes in both] == [4, 4, 1], "what says nothing is never opened"


def test_several_leaves_of_one_chunk_are_opened_when_they_say_most():
    (nodes,) = search([64], lambda _, node: float(any(node.start <= token < node.end for token in (3, 60))), 10_000)
    assert {node.level for node in nodes if node.start in (0, 56)} == {3}


def test_leaves_that_say_much_less_than_the_best_are_left_closed():
    worths = {3: 1.0, 30: 4.0, 60: 3.0}

    def score(_, node):
        return sum(worth for at, worth in worths.items() if node.start <= at < node.end)

    (nodes,) = search([64], score, 10_000, worth=0.5)
    opened = {at for at in worths if any(node.level == 3 and node.start <= at < node.end for node in nodes)}
    assert opened == {30, 60}

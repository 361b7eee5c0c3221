"""One contract for all selection policies, and what each of them is for."""

import pytest
import torch

from sharedllm_core.config import known_policies
from sharedllm_core.context_tree import split, whole_chunk
from sharedllm_core.selection import SelectionPolicy, load_policy

PAIRS = [split(whole_chunk(i, 8)) for i in range(5)]


def vectors_of(nodes):
    return torch.stack([torch.tensor([float(node.start), 1.0 + node.chunk, -1.0]) for node in nodes])


@pytest.mark.parametrize("name", known_policies())
def test_a_policy_decides_every_pair_by_itself(name):
    policy = load_policy(name)
    assert isinstance(policy, SelectionPolicy)
    query = torch.tensor([1.0, 0.5, 0.0]) if policy.needs_query else None
    together = policy.selects_right(PAIRS, vectors_of, query)
    assert together == [policy.selects_right([pair], vectors_of, query)[0] for pair in PAIRS]
    assert all(isinstance(decision, bool) for decision in together)


def test_right_looks_at_nothing():
    def forbidden(nodes):
        raise AssertionError(nodes)

    assert load_policy("right").selects_right(PAIRS, forbidden, None) == [True] * 5


def similarity(left, right, query):
    vectors = lambda nodes: torch.tensor([left, right])  # noqa: E731
    return load_policy("similarity").selects_right(PAIRS[:1], vectors, torch.tensor(query))[0]


def test_similarity_selects_the_half_with_the_larger_cosine_not_the_larger_product():
    assert similarity([1.0, 0.0], [1.0, 9.0], [1.0, 0.0]) is False
    assert similarity([1.0, 9.0], [0.1, 0.0], [1.0, 0.0]) is True


def test_ties_go_left():
    assert similarity([1.0, 2.0], [1.0, 2.0], [3.0, 1.0]) is False


def test_cosines_are_taken_in_float32_for_half_precision_vectors():
    halves = torch.tensor([[1.0, 0.0625], [1.0, 0.09375]], dtype=torch.bfloat16)
    query = torch.tensor([1.0, 0.09375], dtype=torch.bfloat16)
    in_half_precision = torch.nn.functional.cosine_similarity(halves, query[None], dim=-1)
    assert in_half_precision[0] >= in_half_precision[1], "where the left half would win"
    assert load_policy("similarity").selects_right(PAIRS[:1], lambda nodes: halves, query) == [True]

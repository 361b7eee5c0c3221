"""One contract for all selection policies, and what each of them is for."""

from itertools import pairwise
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core import InputError, PastContextError
from sharedllm_core.method.config import known_policies
from sharedllm_core.method.context_tree import Node, split, whole_chunk
from sharedllm_core.model.lower_model import PastTokens
from sharedllm_core.selection.policy import Halves, Query, SelectionPolicy, load_policy
from tests import tiny

PAIRS = dict.fromkeys(range(5), split(whole_chunk(8)))
CHUNKS = [torch.randint(0, 12, (8,), generator=torch.Generator().manual_seed(i)) for i in range(5)]


def vectors_of(pairs):
    rows = [[[float(half.start) * (-1) ** chunk, 1.0 + chunk, -1.0] for half in pair] for chunk, pair in pairs.items()]
    return torch.tensor(rows)


HALVES = Halves(PAIRS, CHUNKS, vectors_of(PAIRS))


def query_of(policy):
    if not policy.needs_query:
        return None
    vector = torch.tensor([1.0, 0.5, 0.0]) if policy.pooling else None
    relevance = [np.cos(chunk.numpy().astype(np.float32)) for chunk in CHUNKS] if policy.searches_text else ()
    return Query(vector, policy.weights(torch.tensor([1, 2, 3]), CHUNKS), relevance)


@pytest.mark.parametrize("name", known_policies())
def test_a_policy_decides_every_pair_by_itself(name):
    policy = load_policy(name)
    assert isinstance(policy, SelectionPolicy)
    query = query_of(policy)
    together = policy.selects_right(HALVES, query)
    alone = [{chunk: pair} for chunk, pair in PAIRS.items()]
    assert together == [policy.selects_right(Halves(one, CHUNKS, vectors_of(one)), query)[0] for one in alone]
    assert all(isinstance(decision, bool) for decision in together)
    assert name == "right" or len(set(together)) == 2, "where it decides always the same, nothing is tested"


@pytest.mark.parametrize("name", known_policies())
def test_a_policy_looks_at_nothing_but_what_it_says(name):
    policy = load_policy(name)
    by_tokens = policy.needs_query and policy.pooling is None
    halves = Halves(PAIRS, CHUNKS if by_tokens else [], vectors_of(PAIRS) if policy.pooling else None)
    assert policy.selects_right(halves, query_of(policy)) == policy.selects_right(HALVES, query_of(policy))


@pytest.mark.parametrize("name", known_policies())
def test_the_configuration_knows_which_policies_compare_vectors(name):
    assert tiny.with_policy(name).compares_vectors == (load_policy(name).pooling is not None)


def test_search_compares_the_best_token_of_each_half():
    relevance = [np.array([0, 3, 0, 0, 0, 0, 2, 2], np.float32), np.array([1, 1, 1, 1, 0, 0, 0, 4], np.float32)]
    halves = Halves({0: PAIRS[0], 1: PAIRS[1]}, CHUNKS[:2])
    assert load_policy("search").selects_right(halves, Query(relevance=relevance)) == [False, True]


def test_a_model_alone_refuses_a_policy_that_searches_text(bases):
    model = tiny.with_injection(bases("llama"), tiny.with_policy("search"))
    with pytest.raises(InputError, match="policy='search' searches the text of documents, and only token ids"):
        model.encode_past_context(CHUNKS, CHUNKS[0])


def test_right_always_goes_right():
    assert load_policy("right").selects_right(HALVES, None) == [True] * 5


def similarity(left, right, query):
    halves = Halves({0: PAIRS[0]}, CHUNKS, torch.tensor([[left, right]]))
    return load_policy("similarity").selects_right(halves, Query(torch.tensor(query)))[0]


def test_similarity_selects_the_half_with_the_larger_cosine_not_the_larger_product():
    assert similarity([1.0, 0.0], [1.0, 9.0], [1.0, 0.0]) is False
    assert similarity([1.0, 9.0], [0.1, 0.0], [1.0, 0.0]) is True


def test_ties_go_left():
    assert similarity([1.0, 2.0], [1.0, 2.0], [3.0, 1.0]) is False
    assert lexical([1, 2, 1, 2], [1, 2]) is False
    assert lexical([5, 6, 7, 8], [1, 2]) is False


def test_cosines_are_taken_in_float32_for_half_precision_vectors():
    vectors = torch.tensor([[1.0, 0.0625], [1.0, 0.09375]], dtype=torch.bfloat16)
    query = torch.tensor([1.0, 0.09375], dtype=torch.bfloat16)
    in_half_precision = torch.nn.functional.cosine_similarity(vectors, query[None], dim=-1)
    assert in_half_precision[0] >= in_half_precision[1], "where the left half would win"
    halves = Halves({0: PAIRS[0]}, CHUNKS, vectors[None])
    assert load_policy("similarity").selects_right(halves, Query(query)) == [True]


def lexical(chunk, question, others=()):
    policy = load_policy("lexical")
    chunks = [torch.tensor(ids) for ids in (chunk, *others)]
    query = Query(weights=policy.weights(torch.tensor(question), chunks))
    return policy.selects_right(Halves({0: split(whole_chunk(len(chunk)))}, chunks), query)[0]


def test_lexical_selects_the_half_that_shares_tokens_with_the_question():
    assert lexical([5, 6, 7, 8, 9, 1], [1, 2]) is True
    assert lexical([1, 6, 7, 8, 9, 5], [1, 2]) is False


def test_lexical_counts_a_rare_token_more_than_frequent_ones():
    elsewhere = [[1, 2] * 20] * 30
    assert lexical([1, 2, 6, 3, 8, 9], [1, 2, 3], elsewhere) is True
    assert lexical([1, 2, 6, 3, 8, 9], [1, 2, 3], [[3] * 40] * 30) is False


def test_lexical_counts_a_token_once_however_often_it_stands_there():
    assert lexical([1, 1, 1, 1, 1, 2], [1, 2]) is True


def test_lexical_tells_neighbours_from_tokens_that_are_apart():
    assert lexical([1, 9, 2, 9, 1, 2], [1, 2]) is True
    assert lexical([1, 2, 9, 1, 9, 2], [1, 2]) is False


def test_lexical_does_not_see_a_pair_that_the_split_takes_apart():
    assert lexical([9, 9, 1, 2, 9, 9], [1, 2, 2]) is False


@given(st.lists(st.integers(0, 6), min_size=2, max_size=16), st.lists(st.integers(0, 6), min_size=1, max_size=5))
def test_lexical_equals_its_definition_word_by_word(chunk, question):
    """One block, so that d is 0 or 1 and n is 1."""
    middle = len(chunk) // 2

    def features(ids):
        return {(i,) for i in ids} | set(pairwise(ids))

    def score(half):
        found = features(question) & features(chunk)
        return round(sum(log(1 + 0.5 / 1.5) for f in features(half) & found), 9)

    assert lexical(chunk, question) is (score(chunk[middle:]) > score(chunk[:middle]))


QUESTION = [1, 2, 3, 90, 91]  # the birthplace of the captain of the Patient Vulture
NAMES = [60, 61, 62, 63, 64]
# The captain of the Patient Vulture is …; … was born in that town: their words are not the question's.
CAPTAIN, BORN = [70, 90, 91, 71, *NAMES, 72], [80, *NAMES, 81, 82, 83]


def filler(length, seed):
    return torch.randint(100, 4000, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def placed(facts, chunks=6, length=256):
    """Chunks of filler, with facts in some of them."""
    made = [filler(length, seed) for seed in range(chunks)]
    for number, fact in facts.items():
        made[number][100 : 100 + len(fact)] = fact
    return [torch.tensor(ids) for ids in made]


def best_chunks(policy_name, chunks, question=QUESTION):
    """Numbers of chunks by the score of their best part of 32 tokens, those that score 0 left out."""
    policy = load_policy(policy_name)
    query = Query(weights=policy.weights(torch.tensor(question), chunks))
    scores = policy.scores(chunks, query)
    parts = [[Node(3, start, start + 32) for start in range(0, len(chunk), 32)] for chunk in chunks]
    best = {number: max(scores(number, of)) for number, of in enumerate(parts)}
    return [number for number in sorted(best, key=lambda number: -best[number]) if best[number] > 0]


def test_a_second_look_finds_what_is_said_of_the_thing_that_the_first_one_finds():
    chunks = placed({1: CAPTAIN, 4: BORN})
    assert best_chunks("lexical", chunks) == [1]
    assert best_chunks("two_looks", chunks) == [1, 4]


def test_a_second_look_counts_less_than_the_first():
    chunks = placed({1: CAPTAIN, 4: BORN, 5: [*NAMES, *NAMES]})
    assert best_chunks("two_looks", chunks)[0] == 1


def test_the_same_wording_about_another_thing_is_not_taken_for_a_name():
    other = [70, 90, 95, 71, 50, 51, 52, 72]
    wording = [72, 73, 74, 75, 76]
    chunks = placed({1: [*CAPTAIN, *wording], 3: [*other, *wording], 2: wording, 4: BORN})
    assert best_chunks("two_looks", chunks)[0] == 1
    assert 2 not in best_chunks("two_looks", chunks)
    assert 4 in best_chunks("two_looks", chunks)


def test_without_anything_named_again_two_looks_find_what_one_finds():
    chunks = placed({1: CAPTAIN, 3: [90, 7, 8]})
    assert best_chunks("two_looks", chunks) == best_chunks("lexical", chunks) == [1, 3]


@given(st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=40), min_size=1, max_size=4), st.integers(0, 99))
def test_in_two_looks_no_small_node_scores_more_than_the_best_place(ids, seed):
    chunks = [torch.tensor(chunk) for chunk in ids]
    policy = load_policy("two_looks")
    question = torch.randint(0, 9, (4,), generator=torch.Generator().manual_seed(seed))
    query = Query(weights=policy.weights(question, chunks))
    scores = policy.scores(chunks, query)
    for number, chunk in enumerate(chunks):
        nodes = [Node(3, start, min(start + 8, len(chunk))) for start in range(0, len(chunk), 8)]
        assert all(0 <= score <= 1 + 1e-9 for score in scores(number, nodes))


@torch.no_grad()
def test_pooled_compares_means_of_the_first_layer_and_the_paper_s_policy_last_tokens(bases):
    chunk = tiny.ids(12)
    node = whole_chunk(12)
    for policy, pool in (("similarity", lambda states: states[-1]), ("pooled", lambda states: states.mean(dim=0))):
        model = tiny.untrained(bases("llama"), tiny.with_policy(policy))
        hidden = model.model(chunk[None], output_hidden_states=True).hidden_states[1]
        vectors = model.lower_model.selection_vectors(PastTokens([chunk], torch.device("cpu")), [[node]])
        torch.testing.assert_close(vectors[0], pool(model.model.norm(hidden)[0]), rtol=1e-4, atol=1e-4)


def test_vectors_of_another_pooling_are_refused(bases):
    mean, last = (tiny.untrained(bases("llama"), tiny.with_policy(name)) for name in ("pooled", "similarity"))
    states = mean.encode_nodes([tiny.ids(32)])
    with pytest.raises(PastContextError, match=r"policy='pooled'.*policy='similarity' compares others; encode"):
        last.select_nodes(states, tiny.ids(4))

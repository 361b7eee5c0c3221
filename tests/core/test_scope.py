"""Scope `past`: one budget of states for all chunks, spent where a question finds most."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_core import ConfigError, PastContext, SharedLLMConfig
from sharedllm_core.selection.choice import nodes_of, select, sentence_starts
from sharedllm_core.selection.policy import Query, load_policy
from tests import tiny

METHOD = replace(tiny.METHOD, policy="lexical", scope="past", finest_compression_ratio=1, min_injected_states=40)
SENTENCES = replace(METHOD, split_after=tuple(range(0, tiny.VOCAB, 7)))
WHOLE = replace(SENTENCES, min_node_tokens=6)


def query_of(ids, chunks):
    return Query(None, load_policy("lexical").weights(ids, chunks))


@pytest.fixture(
    params=[METHOD, SENTENCES, WHOLE, replace(WHOLE, policy="two_looks")],
    ids=["middle", "sentences", "whole", "two_looks"],
)
def model(request, bases):
    return tiny.with_injection(bases("llama"), request.param)


@torch.no_grad()
def test_selecting_of_whole_trees_gives_what_selecting_first_gives(model):
    chunks, question = tiny.chunks(32, 32, 17, 32, 1), tiny.ids(6, seed=9)
    first = model.encode_past_context(chunks, question)
    whole = PastContext.from_nodes(model.select_nodes(model.encode_nodes(chunks), question))
    assert first.nodes == whole.nodes
    for one, other in zip((*first.keys, *first.values), (*whole.keys, *whole.values), strict=True):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_the_chunk_that_has_the_questions_tokens_is_opened_and_the_others_stay_whole(bases):
    model = tiny.untrained(bases("llama"), METHOD)
    chunks = [torch.full((32,), 3 + number) for number in range(6)]
    chunks[4][20:23] = torch.tensor([50, 51, 52])
    past = model.encode_past_context(chunks, torch.tensor([50, 51, 52]))
    opened = [number for number, nodes in enumerate(past.nodes) if any(node.level > 0 for node in nodes)]
    assert opened == [4]
    finest = [node for node in past.nodes[4] if node.level == METHOD.tree_depth]
    assert any(node.start <= 20 < node.end for node in finest)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 32), min_size=1, max_size=8), st.integers(1, 9), st.integers(0, 60), st.integers(0, 99))
@pytest.mark.parametrize("min_node_tokens", [1, 5, 40])
def test_the_states_keep_within_the_budget_and_the_limit(min_node_tokens, lengths, ratio, least, seed):
    changes = {"min_injected_states": least, "max_injected_states": 50, "min_node_tokens": min_node_tokens}
    method = replace(METHOD, compression_ratio=min(ratio, 7), **changes)
    chunks = tiny.chunks(*lengths, seed=seed)
    question = tiny.ids(5, seed=seed + 1)
    chosen = select(method, chunks, query_of(question, chunks))
    spent = sum(-(-node.length // 2 ** (3 - node.level)) for nodes in chosen for node in nodes)
    budget = min(max(sum(lengths) // min(ratio, 7), least), 50)
    roots = sum(-(-length // 8) for length in lengths)
    assert spent <= max(budget, roots)
    assert spent <= 50
    for chunk, nodes in zip(chunks, chosen, strict=True):
        assert set(nodes) <= set(nodes_of(chunk, method))
        places = sorted(place for node in nodes for place in range(node.start, node.end))
        assert places == list(range(len(chunk))) or (not places and roots > 25)
    assert any(chosen)
    unlimited = select(replace(method, max_injected_states=None), chunks, query_of(question, chunks))
    if roots <= 25 and budget < 50:
        assert chosen == unlimited


def test_under_a_limit_the_chunks_that_say_least_are_left_out_of_equal_ones_the_last():
    method = replace(
        METHOD, max_injected_states=40
    )  # half of it is room for five whole chunks of 32 tokens, 4 states each
    chunks = [torch.full((32,), 3 + number) for number in range(12)]
    chunks[9][20:23] = torch.tensor([50, 51, 52])
    chunks[11][7] = 50
    chosen = select(method, chunks, query_of(torch.tensor([50, 51, 52]), chunks))
    assert [number for number, nodes in enumerate(chosen) if nodes] == [0, 1, 2, 9, 11]
    assert {node.level for node in chosen[9]} != {0}, "there is room to open it"


@pytest.mark.parametrize("times", [1, 8])
def test_under_a_limit_a_past_eight_times_as_long_has_no_more_states(bases, times):
    model = tiny.untrained(bases("llama"), replace(METHOD, max_injected_states=60))
    past = model.encode_past_context(tiny.chunks(*[32] * (20 * times)), tiny.ids(6, seed=9))
    assert 30 <= past.num_states <= 60


def test_a_limit_below_one_chunk_retains_one_chunk():
    method = replace(METHOD, max_injected_states=1)
    chunks = tiny.chunks(32, 32)
    chosen = select(method, chunks, query_of(chunks[1][:3], chunks))
    assert [len(nodes) for nodes in chosen] in ([0, 1], [1, 0])


@torch.no_grad()
def test_under_a_limit_selecting_of_whole_trees_gives_what_selecting_first_gives(bases):
    model = tiny.with_injection(bases("llama"), replace(METHOD, max_injected_states=40))
    chunks, question = tiny.chunks(*[32] * 12), tiny.ids(6, seed=9)
    first = model.encode_past_context(chunks, question)
    whole = PastContext.from_nodes(model.select_nodes(model.encode_nodes(chunks), question))
    assert sum(bool(nodes) for nodes in first.nodes) < 12
    assert first.nodes == whole.nodes
    for one, other in zip((*first.keys, *first.values), (*whole.keys, *whole.values), strict=True):
        torch.testing.assert_close(one, other)
    running = tiny.ids(5, seed=3)[None]
    assert torch.isfinite(model(running, past_context=first).logits).all()


def test_sentences_start_behind_an_end_and_before_a_beginning():
    method = replace(METHOD, split_after=(9,), split_before=(5, 6))
    assert sentence_starts(torch.tensor([1, 9, 5, 9, 2, 9, 9, 6, 9]), method) == [2, 7]
    assert sentence_starts(torch.tensor([1, 9, 5, 9, 2]), replace(method, split_before=())) == [2, 4]
    assert sentence_starts(torch.tensor([9]), method) == []
    ids = torch.randint(0, 12, (500,), generator=torch.Generator().manual_seed(0))
    places = [
        at for at in range(1, 500) if int(ids[at - 1]) in method.split_after and int(ids[at]) in method.split_before
    ]
    assert sentence_starts(ids, method) == places


@torch.no_grad()
def test_nodes_begin_with_sentences_where_these_are_near(bases):
    model = tiny.untrained(bases("llama"), replace(METHOD, split_after=(9,)))
    chunk = torch.full((32,), 4)
    chunk[[12, 19]] = 9  # the middle of the chunk is 16, of its right part 26
    [entry] = model.encode_nodes([chunk])
    assert [(node.start, node.end) for node in entry.nodes if node.level == 1] == [(0, 13), (13, 32)]


def test_a_node_is_retained_more_finely_and_not_halved_where_halves_would_be_short():
    method = replace(METHOD, min_node_tokens=6)
    [short] = select(method, [torch.tensor([4] * 11)], query_of(torch.tensor([4]), [torch.tensor([4] * 11)]))
    assert [(node.level, node.start, node.end) for node in short] == [(METHOD.tree_depth, 0, 11)]
    lengths = {node.length for node in nodes_of(torch.arange(32), method)}
    assert lengths == {32, 16, 8}, "a leaf of four is shorter than six"
    assert {node.length for node in nodes_of(torch.arange(32), METHOD)} == {32, 16, 8, 4}


def test_another_policy_goes_back_to_one_path_for_each_chunk(model):
    model.set_policy("right")
    assert (model.method.policy, model.method.scope) == ("right", "chunk")
    past = model.encode_past_context(tiny.chunks(32, 32))
    assert {node.level for nodes in past.nodes for node in nodes} == {1, 2, 3}


WRONG = {
    "use policy='lexical', 'two_looks' or 'search'": {"policy": "similarity", "scope": "past"},
    "max_injected_states=9 limits a search over all chunks; use scope='past'": {"max_injected_states": 9},
    "min_injected_states=9 is for a search over all chunks; use scope='past'": {"min_injected_states": 9},
    "no states are left to split chunks": {"policy": "lexical", "scope": "past", "finest_compression_ratio": 1},
    "min_node_tokens=9 is for a search over all chunks; use scope='past'": {"min_node_tokens": 9},
    "min_node_tokens=0 is not a whole number of at least 1": {"min_node_tokens": 0},
    "finest_compression_ratio=0.5 is not a finite number of at least 1": {"finest_compression_ratio": 0.5},
    "split_after=(-1,) is no tuple of token ids": {"split_after": (-1,)},
    "split_before='.' is no tuple of token ids": {"split_before": "."},
}


@pytest.mark.parametrize(("message", "values"), WRONG.items(), ids=list(WRONG))
def test_numbers_that_do_not_fit_together_are_refused_with_a_remedy(message, values):
    with pytest.raises(ConfigError) as refused:
        SharedLLMConfig(injection_layers=1, **values)
    assert message in str(refused.value)


def test_the_configuration_survives_json():
    assert SharedLLMConfig.from_dict(json.loads(json.dumps(SENTENCES.to_dict()))) == SENTENCES

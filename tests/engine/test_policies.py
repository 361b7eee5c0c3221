"""An engine has one method. Another policy is another engine on the same weights."""

from dataclasses import replace

import pytest

from sharedllm_core import ConfigError, Document, SharedLLMEngine
from tests import tiny_engine

QUESTION = "What is the notice period?"
ASKED = {"max_new_tokens": 8, "num_evidence": 0}


@pytest.fixture
def library(engine):
    return engine.read(tiny_engine.documents(4), progress=False)


CHANGES = {
    "set_policy": lambda model: model.set_policy("pooled"),
    "set_method": lambda model: model.set_method(model.method.with_policy("pooled")),
    "model.method": lambda model: setattr(model, "method", model.method.with_policy("pooled")),
    "config.method": lambda model: setattr(model.config, "method", model.method.with_policy("pooled")),
    "lower_model.method": lambda model: setattr(model.lower_model, "method", model.method.with_policy("pooled")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_method_under_an_engine_names_with_policy_and_changes_nothing(engine, library, change):
    before = engine.past_context(QUESTION, library).nodes
    with pytest.raises(ConfigError, match="with_policy"):
        CHANGES[change](engine.model)
    assert engine.method.policy == "similarity"
    assert engine.past_context(QUESTION, library).nodes == before


def test_a_later_change_of_the_model_does_not_reach_the_engine(checkpoint):
    loaded = tiny_engine.make_engine(checkpoint)
    model = loaded.model.with_method(loaded.method)
    engine = SharedLLMEngine(model, loaded.tokenizer, cache=tiny_engine.memory_cache())
    library = engine.read(tiny_engine.documents(4), progress=False)
    before = engine.past_context(QUESTION, library).nodes
    model.set_policy("pooled")
    assert (model.method.policy, engine.method.policy) == ("pooled", "similarity")
    assert engine.past_context(QUESTION, library).nodes == before


@pytest.mark.parametrize("policy", ["pooled", "lexical", "two_looks", "search", "right"])
def test_with_policy_selects_as_an_engine_loaded_with_that_policy_does(checkpoint, engine, library, policy):
    other = engine.with_policy(policy)
    loaded = tiny_engine.make_engine(checkpoint, policy=policy)
    expected = loaded.past_context(QUESTION, loaded.library(tiny_engine.documents(4)))
    assert other.past_context(QUESTION, library).nodes == expected.nodes
    assert engine.method.policy == "similarity"
    assert other.ask(QUESTION, library, **ASKED).text == loaded.ask(QUESTION, tiny_engine.documents(4), **ASKED).text


def test_engines_of_several_policies_share_weights_and_queue_and_take_each_others_libraries(engine, library):
    other = engine.with_policy("lexical")
    weights = zip(engine.model.parameters(), other.model.parameters(), strict=True)
    assert all(mine is theirs for mine, theirs in weights)
    assert other._lock is engine._lock
    assert other.fingerprint == engine.fingerprint
    assert other.cached_tokens(library) == library.num_tokens, "trees do not depend on a policy without vectors"


def test_search_keeps_the_place_fine_that_the_text_search_finds(tmp_path):
    method = replace(
        tiny_engine.METHOD, policy="search", scope="past", finest_compression_ratio=1, min_injected_states=8
    )
    engine = tiny_engine.make_engine(tiny_engine.make_checkpoint(tmp_path, method))
    fact = "Walruses are weighed by the harbour master in January."
    text = f"{tiny_engine.words(60, seed=1)} {fact} {tiny_engine.words(60, seed=2)}"
    library = engine.library([*tiny_engine.documents(3), Document(text, id="fact")])
    nodes = engine.past_context("Who is weighing a WALRUS?", library).nodes
    finest = [
        (library.chunks[chunk].document, *library.chunks[chunk].text.offsets[node.start].tolist()[:1])
        for chunk, of_chunk in enumerate(nodes)
        for node in of_chunk
        if node.level == method.tree_depth
    ]
    start = text.index(fact)
    assert finest
    assert all(document == 3 for document, _ in finest)
    assert any(start <= first < start + len(fact) for _, first in finest)


def test_an_unknown_policy_is_refused(engine):
    with pytest.raises(ConfigError, match="policy='nearest' is not known; use one of"):
        engine.with_policy("nearest")


def test_a_policy_that_compares_no_chunks_leaves_the_scope_past(tmp_path):
    method = replace(
        tiny_engine.METHOD, policy="lexical", scope="past", finest_compression_ratio=1, min_injected_states=64
    )
    engine = tiny_engine.make_engine(tiny_engine.make_checkpoint(tmp_path, method))
    assert engine.with_policy("two_looks").method.scope == "past"
    assert engine.with_policy("similarity").method.scope == "chunk"

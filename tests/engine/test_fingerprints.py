"""What names an engine: by its trees, and by its answers."""

import torch

from sharedllm_core.engine.fingerprint import answer_fingerprint, hash_weights
from tests import tiny, tiny_engine
from tests.tiny_engine import BOTH_READINGS


@BOTH_READINGS
def test_equal_engines_have_equal_fingerprints_whatever_their_caches_are(checkpoint, engine):
    same = tiny_engine.make_engine(checkpoint)
    assert same.answer_fingerprint == engine.answer_fingerprint
    assert tiny_engine.make_engine_like(engine).answer_fingerprint == engine.answer_fingerprint
    assert same.fingerprint == engine.fingerprint


def test_engines_that_read_alike_and_answer_otherwise_share_trees_and_no_answers(checkpoint, engine):
    injected = tiny_engine.make_engine(checkpoint)
    tiny.randomise(injected.model.injection)
    chosen = tiny_engine.make_engine(checkpoint, policy="lexical")
    assert {injected.fingerprint, chosen.fingerprint} == {engine.fingerprint}
    assert len({one.answer_fingerprint for one in (engine, injected, chosen)}) == 3


@BOTH_READINGS
def test_any_change_of_one_weight_shows(engine):
    before = answer_fingerprint(engine.model, engine.tokenizer)
    weight = engine.model.get_input_embeddings().weight
    for row, column in ((0, 0), (17, 3), (-1, -1)):
        with torch.no_grad():
            weight[row, column] += 1
            assert answer_fingerprint(engine.model, engine.tokenizer) != before
            weight[row, column] -= 1


def test_the_fingerprint_of_answers_is_made_once_for_all_engines_of_a_model(engine, monkeypatch):
    hashed = []

    def counted(model):
        hashed.append(model)
        return hash_weights(model)

    monkeypatch.setattr("sharedllm_core.engine.shared_model.hash_weights", counted)
    other, lexical = tiny_engine.make_engine_like(engine), engine.with_policy("lexical")
    assert other.answer_fingerprint == engine.answer_fingerprint == other.answer_fingerprint
    assert lexical.answer_fingerprint != engine.answer_fingerprint
    assert len(hashed) == 1

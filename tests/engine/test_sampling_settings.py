"""How tokens are chosen: the checkpoint's generation config, unless the caller says otherwise."""

from threading import Event

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessorList

from sharedllm_core import CheckpointError, Constraint, SamplingSettings, SharedLLMEngine
from sharedllm_core.generation.sampling import logits_processors
from tests import tiny_engine
from tests.real_models import smollm2_folder

ASKED = {"max_new_tokens": 16, "num_evidence": 0}
QUESTION = "What is the notice period?"


@pytest.fixture
def engine_with(checkpoint, tmp_path):
    """Makes an engine from a copy of the tiny checkpoint whose generation_config.json has these settings."""

    def make(**settings):
        folder = tmp_path / f"checkpoint-{len(list(tmp_path.iterdir()))}"
        return tiny_engine.make_engine(tiny_engine.with_generation_config(checkpoint, folder, **settings))

    return make


def tokens_of(engine, **settings):
    return engine.ask(QUESTION, **{**ASKED, **settings}).text


def ids_of(engine):
    """The generated ids; random weights generate bytes that the text does not show."""
    (answered,) = engine._prepare([QUESTION], [None], ASKED).generate([lambda piece: None], Event())
    return answered.decoded.ids


# ---------------------------------------------------------------------------------------------- the checkpoint's


def test_a_checkpoint_without_sampling_settings_is_greedy(engine):
    assert engine.sampling == SamplingSettings()
    assert tokens_of(engine) == tokens_of(engine, temperature=0, repetition_penalty=1)


@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": True, "temperature": 2.0},
        {"do_sample": True, "temperature": 2.0, "top_k": 7},
        {"do_sample": True, "temperature": 2.0, "top_p": 0.4},
        {"repetition_penalty": 30.0},
    ],
    ids=str,
)
def test_a_checkpoints_settings_are_those_of_a_caller(engine, engine_with, settings):
    explicit = {name: value for name, value in settings.items() if name != "do_sample"}
    expected = tokens_of(engine, seed=5, **explicit)
    assert tokens_of(engine_with(**settings), seed=5) == expected
    assert expected != tokens_of(engine)


def test_a_checkpoint_that_samples_draws_again_for_each_answer(engine_with):
    engine = engine_with(do_sample=True, temperature=3.0)
    assert len({tokens_of(engine) for _ in range(3)}) > 1


def test_what_the_caller_says_wins(engine, engine_with):
    sampled = engine_with(do_sample=True, temperature=5.0, top_k=9, top_p=0.9, repetition_penalty=20.0)
    assert tokens_of(sampled, temperature=0, repetition_penalty=1) == tokens_of(engine)
    own = {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0, "seed": 3}
    assert tokens_of(sampled, **own) == tokens_of(engine, **own)


def test_a_temperature_without_sampling_is_greedy(engine, engine_with):
    engine_that_does_not_sample = engine_with(do_sample=False, temperature=5.0)
    assert engine_that_does_not_sample.sampling.temperature == 0
    assert tokens_of(engine_that_does_not_sample) == tokens_of(engine)


def test_defaults_of_transformers_are_not_settings_of_the_checkpoint():
    sampling = SamplingSettings.from_checkpoint(GenerationConfig(do_sample=True))
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (1.0, 0, 1.0)
    assert SamplingSettings.from_checkpoint(None) == SamplingSettings()


def test_a_generation_config_of_real_weights_is_read_from_its_folder(tmp_path):
    # The settings of Qwen2.5-Instruct.
    settings = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05}
    folder = tiny_engine.with_generation_config(smollm2_folder(), tmp_path / "smollm2", **settings)
    found = SharedLLMEngine.from_pretrained(folder, cache=tiny_engine.memory_cache()).sampling
    assert found == SamplingSettings(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)


# ---------------------------------------------------------------------------------------------- bans and the rest


def test_tokens_that_a_checkpoint_suppresses_are_not_generated(engine, engine_with):
    first, second, *_ = ids_of(engine)
    suppressed = engine_with(suppress_tokens=[first])
    assert first not in ids_of(suppressed)
    assert ids_of(engine_with(bad_words_ids=[[first]])) == ids_of(suppressed)
    assert ids_of(engine_with(begin_suppress_tokens=[first]))[0] != first
    first_of_pair, after, *_ = ids_of(engine_with(bad_words_ids=[[first, second]]))
    assert first_of_pair == first
    assert after != second


def test_a_token_suppressed_at_the_beginning_may_come_later():
    sampling = SamplingSettings(begin_suppress_tokens=(3,))
    process = logits_processors(sampling, None, 2, torch.device("cpu"))
    scores = torch.tensor([[0.0, 0.0, 0.0, 9.0]])
    ids = torch.tensor([[0, 1]])
    assert process(ids, scores)[0, 3].isneginf()
    later = torch.cat([ids, ids[:, :1]], dim=1)
    assert torch.equal(process(later, scores), scores)


def test_min_p_drops_tokens_far_less_likely_than_the_first():
    sampling = SamplingSettings(temperature=1.0, min_p=0.5)
    scores = torch.tensor([[3.0, 2.9, 0.0, -1.0]])
    process = logits_processors(sampling, 0, 1, torch.device("cpu"))
    drawn = {int(LogitsProcessorList(process)(torch.tensor([[0]]), scores).argmax()) for _ in range(60)}
    assert drawn == {0, 1}


def test_a_constrained_answer_matches_although_the_checkpoint_suppresses_its_tokens(engine_with):
    suppressed = engine_with(suppress_tokens=[*range(6, 600)], do_sample=True, temperature=2.0)
    answer = suppressed.ask(QUESTION, constraint=Constraint.choice(["yes", "no"]), **ASKED)
    assert answer.text in ("yes", "no")


def test_settings_that_are_not_applied_are_named(engine, engine_with):
    settings = {"no_repeat_ngram_size": 3, "num_beams": 1, "typical_p": 1.0, "forced_eos_token_id": 1}
    other = engine_with(**settings)
    assert set(other.sampling.not_applied) == {"no_repeat_ngram_size", "forced_eos_token_id"}
    assert tokens_of(other) == tokens_of(engine)


@pytest.mark.parametrize("wrong", [{"top_p": 1.5}, {"repetition_penalty": 0.0}, {"do_sample": True, "top_k": 2.5}])
def test_a_value_out_of_range_is_refused_when_the_checkpoint_is_loaded(wrong):
    config = GenerationConfig()
    vars(config).update(wrong)
    with pytest.raises(CheckpointError, match=[*wrong][-1]):
        SamplingSettings.from_checkpoint(config)


# ---------------------------------------------------------------------------------------------- the engine


def test_an_answer_ends_at_any_of_several_end_tokens(engine, engine_with):
    ids = ids_of(engine)
    ends = engine_with(eos_token_id=[engine.tokenizer.tokenizer.eos_token_id, ids[2]])
    answer = ends.ask(QUESTION, **ASKED)
    assert answer.finish_reason == "stop"
    assert answer.usage.completion_tokens == ids.index(ids[2])


def test_engines_that_sample_otherwise_have_other_answer_fingerprints(engine, engine_with):
    sampled = engine_with(do_sample=True, temperature=0.7)
    assert sampled.answer_fingerprint != engine.answer_fingerprint
    assert sampled.fingerprint == engine.fingerprint


def test_a_saved_model_keeps_the_settings_of_its_base(engine_with, tmp_path):
    sampled = engine_with(do_sample=True, temperature=0.7, top_k=20)
    sampled.model.save_pretrained(tmp_path / "saved")
    sampled.tokenizer.tokenizer.save_pretrained(tmp_path / "saved")
    assert tiny_engine.make_engine(tmp_path / "saved").sampling == sampled.sampling
    assert sampled.with_cache(tiny_engine.memory_cache()).sampling == sampled.sampling

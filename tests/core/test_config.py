"""The configuration checks itself at once, and says what to change."""

import json
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core import ConfigError, SharedLLMConfig
from sharedllm_core.method.config import known_policies

WRONG = {
    "chunk_tokens=1000 cannot be halved 4 times; use a multiple of 16 or tree_depth=3": {
        "chunk_tokens": 1000,
        "tree_depth": 4,
    },
    "compression_ratio=0.5 is not a finite number of at least 1": {"compression_ratio": 0.5},
    "compression_ratio=inf is not a finite number": {"compression_ratio": float("inf")},
    "use compression_ratio=2 or more": {"compression_ratio": 1},
    "injection_layers=0 is not a whole number of at least 1": {"injection_layers": 0},
    "injection_layers=2.5 is not a whole number": {"injection_layers": 2.5},
    "injection_layers=True is not a whole number": {"injection_layers": True},
    "tree_depth=-1 is not a whole number of at least 0": {"tree_depth": -1},
    "policy='best' is not known; use one of 'lexical', 'pooled', 'right', 'search', 'similarity', 'two_looks'": {
        "policy": "best"
    },
    "sample_at='middle' is not known": {"sample_at": "middle"},
    "key_positions='none' is not known": {"key_positions": "none"},
    "split_noise_tokens=-1 is not a finite number of at least 0": {"split_noise_tokens": -1},
    "query_position_offset='0' is not a whole number": {"query_position_offset": "0"},
}


@pytest.mark.parametrize(("message", "values"), WRONG.items(), ids=list(WRONG))
def test_a_wrong_number_is_refused_with_value_limit_and_remedy(message, values):
    with pytest.raises(ConfigError) as refused:
        SharedLLMConfig(**{"injection_layers": 4} | values)
    assert message in str(refused.value)


@given(st.integers(1, 5000), st.integers(0, 12))
def test_the_remedies_of_a_chunk_that_does_not_halve_are_true(chunk_tokens, depth):
    try:
        SharedLLMConfig(injection_layers=1, chunk_tokens=chunk_tokens, tree_depth=depth, compression_ratio=4096)
    except ConfigError as refused:
        remedies = str(refused).split("multiple of ")[1].split(" or tree_depth=")
        multiple, other_depth = (int(remedy) for remedy in remedies)
        assert SharedLLMConfig(injection_layers=1, chunk_tokens=multiple, tree_depth=depth, compression_ratio=4096)
        SharedLLMConfig(injection_layers=1, chunk_tokens=chunk_tokens, tree_depth=other_depth, compression_ratio=4096)
    else:
        assert chunk_tokens % 2**depth == 0


def test_the_papers_ratios_follow_from_eight_to_one():
    config = SharedLLMConfig(injection_layers=4)
    assert [config.level_compression_ratio(level) for level in (1, 2, 3)] == [16, 8, 4]


@given(st.integers(1, 6), st.sampled_from([2, 2.5, 6.7, 8, 100]))
def test_each_level_halves_the_ratio_and_the_retained_states_add_up(depth, ratio):
    if ratio * (depth + 1) < 2**depth:
        return
    config = SharedLLMConfig(injection_layers=1, tree_depth=depth, compression_ratio=ratio)
    alphas = [config.level_compression_ratio(level) for level in range(1, depth + 1)]
    assert all(coarse == 2 * fine for coarse, fine in pairwise(alphas))
    lengths = [*(Fraction(1024, 2**level) for level in range(1, depth + 1)), Fraction(1024, 2**depth)]
    states = sum(length / alpha for length, alpha in zip(lengths, [*alphas, alphas[-1]], strict=True))
    assert Fraction(1024) / states == Fraction(str(ratio))


@pytest.mark.parametrize(("layers", "modelling", "instruction"), [(32, 4, 16), (8, 1, 4), (28, 4, 14), (2, 1, 1)])
def test_presets_scale_to_the_bases_depth(layers, modelling, instruction):
    assert SharedLLMConfig.language_modelling(layers).injection_layers == modelling
    assert SharedLLMConfig.language_modelling(layers).policy == "right"
    assert SharedLLMConfig.instruction(layers).injection_layers == instruction
    assert SharedLLMConfig.instruction(layers).policy == "similarity"
    assert SharedLLMConfig.instruction(layers, chunk_tokens=512).chunk_tokens == 512


def test_the_encoder_decoder_preset_injects_all_layers_and_keeps_every_state():
    config = SharedLLMConfig.encoder_decoder(6, chunk_tokens=100)
    assert (config.injection_layers, config.tree_depth, config.policy) == (6, 0, "right")
    assert config.level_compression_ratio(0) == 1
    assert config.chunk_tokens == config.longest_node_tokens(100) == 100


def test_a_configuration_survives_json():
    config = SharedLLMConfig(
        injection_layers=3, compression_ratio=6.5, policy="right", key_positions="local_plus_chunk"
    )
    assert SharedLLMConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [({"injection_layers": 2, "rate": 8}, "unknown settings ['rate']"), ({}, "injection_layers is missing")],
)
def test_a_saved_configuration_that_does_not_fit_is_refused(values, message):
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        SharedLLMConfig.from_dict(values)


def test_a_configuration_cannot_be_changed():
    with pytest.raises(AttributeError):
        SharedLLMConfig(injection_layers=2).chunk_tokens = 8


def test_a_base_that_is_too_shallow_is_refused():
    with pytest.raises(ConfigError, match="injection_layers=5, but the base model has 4 layers; use at most 4"):
        SharedLLMConfig(injection_layers=5).check_fits(4)


def test_every_file_of_the_selection_folder_is_a_policy():
    assert known_policies() == ("lexical", "pooled", "right", "search", "similarity", "two_looks")

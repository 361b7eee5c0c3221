"""Downsampling: how many states a node keeps, and those of which tokens (paper, section 3.2). Whole numbers only."""

from math import ceil

from .config import SampleAt, SharedLLMConfig

__all__ = ["kept_tokens", "num_states"]


def num_states(length: int, level: int, config: SharedLLMConfig) -> int:
    """k = max(1, ⌈m / α_w⌉): states kept of a node of `length` tokens at `level`."""
    return max(1, ceil(length / config.level_compression_ratio(level)))


def kept_tokens(length: int, states: int, sample_at: SampleAt) -> list[int]:
    """The places in the node, from 0, of the tokens whose states are kept: `states` of `length`, at fractional steps.

    `interval_start` keeps ⌊i m / k⌋. `interval_end` keeps ⌊(i+1) m / k⌋ − 1: a causal state knows only what stands
    before it, so that with starts nobody has seen the text after the last kept token.
    """
    if sample_at == "interval_start":
        return [i * length // states for i in range(states)]
    return [(i + 1) * length // states - 1 for i in range(states)]

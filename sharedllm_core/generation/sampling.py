"""Sampling of tokens, with a random stream for each answer.

transformers samples from the global random generator: threads would disturb each other, and a row of a batch would get
other tokens than the same row alone. So the token is sampled here, by the last logits processors, and what decodes
picks the only token that remains.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    NoBadWordsLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from .constraints.limited_thoughts import LimitedThoughts
from .constraints.processors import EndingGuard, Grammar, GrammarMask
from .sampling_settings import SamplingSettings

__all__ = ["logits_processors"]

_GREEDY_UP_TO = 1e-4  # below this temperature only the most likely token has any probability, and float32 overflows


def logits_processors(
    sampling: SamplingSettings,
    seed: int | None,
    prompt_tokens: int,
    device: torch.device,
    grammar: Grammar | None = None,
    new_tokens: int = 0,
    thoughts: LimitedThoughts | None = None,
) -> LogitsProcessorList:
    """Build the logits processors that choose the next token of an answer.

    Args:
        sampling: how tokens are chosen.
        seed: of the random numbers; `None` for new ones.
        prompt_tokens: length of the prompt.
        device: device of the logits.
        grammar: the grammar that the answer must match within `new_tokens`.
        new_tokens: the most tokens to generate.
        thoughts: the thoughts before the text that the grammar applies to.

    Returns:
        For ids [1, n] and logits [1, V].
    """
    mask = None if grammar is None else GrammarMask(grammar, thoughts)
    processors: list[LogitsProcessor] = [] if mask is None else [mask]
    if sampling.repetition_penalty != 1:
        processors.append(_RepetitionPenalty(float(sampling.repetition_penalty)))
    if bans := _bans(sampling, prompt_tokens, device):
        processors.append(_Bans(bans))
    if sampling.temperature > _GREEDY_UP_TO:
        processors.append(TemperatureLogitsWarper(float(sampling.temperature)))
        if sampling.top_k:
            processors.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            processors.append(TopPLogitsWarper(float(sampling.top_p)))
        if sampling.min_p:
            processors.append(MinPLogitsWarper(float(sampling.min_p)))
        processors.append(_Sampler(_generator(seed, device)))
    if mask is not None:
        processors.append(EndingGuard(mask, new_tokens))
    return LogitsProcessorList(processors)


class _RepetitionPenalty(LogitsProcessor):
    """Makes tokens that already occur in the text less likely."""

    def __init__(self, penalty: float) -> None:
        self._penalty = penalty

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        penalized = scores.clone()
        seen = input_ids[0].unique()
        score = scores[0, seen]
        penalized[0, seen] = torch.where(score < 0, score * self._penalty, score / self._penalty)
        return penalized


def _bans(sampling: SamplingSettings, prompt_tokens: int, device: torch.device) -> list[LogitsProcessor]:
    bans: list[LogitsProcessor] = []
    if sampling.suppress_tokens:
        bans.append(SuppressTokensLogitsProcessor(list(sampling.suppress_tokens), str(device)))
    if sampling.begin_suppress_tokens:
        first = list(sampling.begin_suppress_tokens)
        bans.append(SuppressTokensAtBeginLogitsProcessor(first, prompt_tokens, str(device)))
    if sampling.bad_words_ids:
        bans.append(NoBadWordsLogitsProcessor([list(ids) for ids in sampling.bad_words_ids]))
    return bans


class _Bans(LogitsProcessor):
    """Masks the tokens that a checkpoint bans, except where a grammar allows no other token."""

    def __init__(self, bans: Sequence[LogitsProcessor]) -> None:
        self._bans = bans

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        banned = scores
        for ban in self._bans:
            banned = ban(input_ids, banned)
        none_left = banned.isneginf().all(dim=-1, keepdim=True)
        return torch.where(none_left, scores, banned)


class _Sampler(LogitsProcessor):
    """Samples one token and masks all others."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        sampled = torch.multinomial(scores.float().softmax(dim=-1), 1, generator=self._generator)
        return torch.full_like(scores, -torch.inf).scatter(1, sampled, 0.0)


def _generator(seed: int | None, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator

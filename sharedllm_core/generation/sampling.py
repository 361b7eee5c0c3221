"""Sampling of tokens, with one random stream per row.

transformers samples from the global random generator: threads would disturb each other, and a row of a batch would get
other tokens than the same row alone. So the token is sampled here, by the last logits processors, and transformers'
greedy search picks the only token that remains.
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

# Suffixes: B rows, V vocabulary.


def logits_processors(
    sampling: SamplingSettings,
    seed: int | None,
    padding: Sequence[int],
    prompt_tokens: int,
    device: torch.device,
    grammar: Grammar | None = None,
    new_tokens: int = 0,
    thoughts: Sequence[LimitedThoughts] | None = None,
) -> LogitsProcessorList:
    """Build the logits processors that choose the next token of each row.

    Args:
        sampling: how tokens are chosen.
        seed: of the random numbers; `None` for new ones.
        padding: number of padding tokens at the start of each row.
        prompt_tokens: length of each row's prompt, with its padding.
        device: device of the logits.
        grammar: the grammar that each row must match within `new_tokens`.
        new_tokens: the most tokens to generate.
        thoughts: the thoughts of each row before the text that the grammar applies to.
    """
    mask = None if grammar is None else GrammarMask(grammar, len(padding), thoughts)
    processors: list[LogitsProcessor] = [] if mask is None else [mask]
    if sampling.repetition_penalty != 1:
        processors.append(_RepetitionPenalty(float(sampling.repetition_penalty), padding))
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
        processors.append(_Sampler([_generator(seed, device) for _ in padding]))
    if mask is not None:
        processors.append(EndingGuard(mask, new_tokens))
    return LogitsProcessorList(processors)


class _RepetitionPenalty(LogitsProcessor):
    """Makes tokens that already occur in a row less likely; padding does not count."""

    def __init__(self, penalty: float, padding: Sequence[int]) -> None:
        self._penalty = penalty
        self._padding = padding

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        penalized = scores.clone()
        for row, (ids, padding) in enumerate(zip(input_ids, self._padding, strict=True)):
            seen = ids[padding:].unique()
            score = scores[row, seen]
            penalized[row, seen] = torch.where(score < 0, score * self._penalty, score / self._penalty)
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
        none_left_B1 = banned.isneginf().all(dim=-1, keepdim=True)
        return torch.where(none_left_B1, scores, banned)


class _Sampler(LogitsProcessor):
    """Samples one token per row and masks all others."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._generators = generators

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        probabilities_BV = scores.float().softmax(dim=-1)
        sampled = [
            torch.multinomial(row_V, 1, generator=generator)
            for row_V, generator in zip(probabilities_BV, self._generators, strict=True)
        ]
        return torch.full_like(scores, -torch.inf).scatter(1, torch.stack(sampled), 0.0)


def _generator(seed: int | None, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator

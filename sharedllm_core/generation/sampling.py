"""Drawing tokens, each row from its own stream of random numbers.

transformers draws from the process's one generator: two threads would disturb each other, and a row of a batch would be
drawn otherwise than alone. So the draw is made here, as the last of the logits processors, and what is left for
transformers is to take the only token that remains.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from .constraints.processors import Allowed, Grammar, InTime
from .settings import AnswerSettings

__all__ = ["logits_processors"]

_GREEDY_UP_TO = 1e-4  # a temperature below leaves nothing but the likeliest token, and float32 no numbers for it

# Suffixes: B rows, V vocabulary.


def logits_processors(
    settings: AnswerSettings,
    padding: Sequence[int],
    device: torch.device,
    grammar: Grammar | None = None,
    new_tokens: int = 0,
) -> LogitsProcessorList:
    """What turns the model's logits into a choice for each row.

    Args:
        settings: how to choose.
        padding: how many tokens of it each row begins with.
        device: of the logits.
        grammar: what each row has to keep to, within `new_tokens`.
        new_tokens: the most tokens to write.
    """
    allowed = None if grammar is None else Allowed(grammar, len(padding))
    processors: list[LogitsProcessor] = [] if allowed is None else [allowed]
    if settings.repetition_penalty != 1:
        processors.append(_Penalty(float(settings.repetition_penalty), padding))
    if settings.temperature > _GREEDY_UP_TO:
        processors.append(TemperatureLogitsWarper(float(settings.temperature)))
        if settings.top_k:
            processors.append(TopKLogitsWarper(settings.top_k))
        if settings.top_p < 1:
            processors.append(TopPLogitsWarper(float(settings.top_p)))
        processors.append(_Draw([_generator(settings.seed, device) for _ in padding]))
    if allowed is not None:
        processors.append(InTime(allowed, new_tokens))
    return LogitsProcessorList(processors)


class _Penalty(LogitsProcessor):
    """Makes tokens that stand in a row less likely; its padding does not stand in it."""

    def __init__(self, penalty: float, padding: Sequence[int]) -> None:
        self._penalty = penalty
        self._padding = padding

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        fined = scores.clone()
        for row, (ids, padding) in enumerate(zip(input_ids, self._padding, strict=True)):
            said = ids[padding:].unique()
            score = scores[row, said]
            fined[row, said] = torch.where(score < 0, score * self._penalty, score / self._penalty)
        return fined


class _Draw(LogitsProcessor):
    """Leaves of each row one token, drawn by its probability."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._generators = generators

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        probabilities_BV = scores.float().softmax(dim=-1)
        drawn = [
            torch.multinomial(row_V, 1, generator=generator)
            for row_V, generator in zip(probabilities_BV, self._generators, strict=True)
        ]
        return torch.full_like(scores, -torch.inf).scatter(1, torch.stack(drawn), 0.0)


def _generator(seed: int | None, device: torch.device) -> torch.Generator:
    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator

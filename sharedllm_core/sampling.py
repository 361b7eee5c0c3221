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
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from .answer_settings import AnswerSettings

__all__ = ["logits_processors"]

# Suffixes: B rows, V vocabulary.


def logits_processors(settings: AnswerSettings, rows: int, device: torch.device) -> LogitsProcessorList:
    """What turns the model's logits into a choice for each of `rows` rows."""
    processors: list[LogitsProcessor] = []
    if settings.repetition_penalty != 1:
        processors.append(RepetitionPenaltyLogitsProcessor(float(settings.repetition_penalty)))
    if settings.temperature > 0:
        processors.append(TemperatureLogitsWarper(float(settings.temperature)))
        if settings.top_k:
            processors.append(TopKLogitsWarper(settings.top_k))
        if settings.top_p < 1:
            processors.append(TopPLogitsWarper(float(settings.top_p)))
        processors.append(_Draw([_generator(settings.seed, device) for _ in range(rows)]))
    return LogitsProcessorList(processors)


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

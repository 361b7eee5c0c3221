"""Decoding by transformers' `generate`: a batch from its first token to its last, for any model that it can run."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from .rows import AnswerRow, past_contexts

__all__ = ["generate_rows", "left_padded"]

# Suffixes: B rows, V vocabulary.


def generate_rows(model: PreTrainedModel, rows: Sequence[AnswerRow]) -> None:
    """Generate the answers of rows as one batch; it runs as long as the longest of them."""
    if not all(row.cancelled.is_set() for row in rows):  # rows of other callers go on
        eos_ids = rows[0].eos_ids
        padding = next(iter(eos_ids), 0)
        input_ids, mask = left_padded([row.prompt for row in rows], padding)
        device = model.get_input_embeddings().weight.device
        pads = (mask == 0).sum(dim=1).tolist()
        # What the checkpoint's generation config says is in the rows' processors and must not be applied again:
        # generate on a shallow copy with an empty one, which shares the weights.
        plain: Any = copy.copy(model)
        plain.generation_config = GenerationConfig(eos_token_id=sorted(eos_ids) or None, pad_token_id=padding)
        plain.generate(
            input_ids.to(device),
            attention_mask=mask.to(device),
            **past_contexts(rows),
            max_new_tokens=max(row.new_tokens for row in rows),
            do_sample=False,
            logits_processor=LogitsProcessorList([_RowProcessors(rows, pads)]),
            stopping_criteria=StoppingCriteriaList([_StopRows(rows)]),
        )
    for row in rows:
        row.end()


def left_padded(prompts: Sequence[Tensor], padding: int) -> tuple[Tensor, Tensor]:
    """Stack prompts [n], padded on the left; return ids and attention mask [B, longest]."""
    longest = max(len(ids) for ids in prompts)
    input_ids = torch.full((len(prompts), longest), padding)
    mask = torch.zeros_like(input_ids)
    for number, ids in enumerate(prompts):
        input_ids[number, longest - len(ids) :] = ids
        mask[number, longest - len(ids) :] = 1
    return input_ids, mask


class _RowProcessors(LogitsProcessor):
    """Applies to each row its own processors, without the padding of the batch."""

    def __init__(self, rows: Sequence[AnswerRow], pads: Sequence[int]) -> None:
        self._rows = rows
        self._pads = pads

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        chosen_1V = [
            scores[number : number + 1]
            if row.answer.finish_reason is not None
            else row.choose(input_ids[number : number + 1, pad:], scores[number : number + 1])
            for number, (row, pad) in enumerate(zip(self._rows, self._pads, strict=True))
        ]
        return torch.cat(chosen_1V)


@dataclass
class _StopRows(StoppingCriteria):
    """Passes each row's new token to its answer, and stops rows that have ended or are cancelled."""

    rows: Sequence[AnswerRow]

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        newest = input_ids[:, -1].tolist()
        done = [
            row.answer.finish_reason is not None or row.cancelled.is_set() or row.push(token_id)
            for row, token_id in zip(self.rows, newest, strict=True)
        ]
        return torch.tensor(done, device=input_ids.device)  # type: ignore[no-any-return,unused-ignore]

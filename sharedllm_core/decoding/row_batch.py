"""`RowBatch`: rows that are decoded together, and that join and leave between two tokens."""

from collections.abc import Sequence
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from ..model.renamed import KV_CACHE
from .kept_prompts import KeptPrompts
from .padding import supports_padding
from .row_cache import RowCache
from .rows import AnswerRow, past_contexts
from .whole_batch import left_padded

__all__ = ["RowBatch", "can_join"]

_NEEDED = {"attention_mask", "position_ids", KV_CACHE}

# Suffixes: B rows, T tokens, V vocabulary.


def can_join(model: PreTrainedModel) -> bool:
    """Whether rows of a model can join and leave: all that it keeps of a text are keys and values of every token."""
    config = model.config.get_text_config()
    layers = DynamicCache(config=config).layers
    return (
        supports_padding(model)
        and signature(model.forward).parameters.keys() >= _NEEDED
        and not model.config.is_encoder_decoder
        and not getattr(model, "_is_stateful", False)
        and not getattr(config, "num_kv_shared_layers", 0)
        and all(type(layer) is DynamicLayer for layer in layers)
    )


class ReadPrompts(NamedTuple):
    """Prompts that were read: their rows, tokens of each, keys and values, and logits [B, V] of the first tokens."""

    rows: Sequence[AnswerRow]
    lengths: Sequence[int]
    states: DynamicCache
    logits: Tensor


class RowBatch:
    """Rows that are decoded together; each step adds a token to every one.

    Args:
        model: one for which `can_join` holds.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.rows: list[AnswerRow] = []
        self._model = model
        self._cache = RowCache()
        self._pasts: dict[str, Any] = {}
        self._texts: list[Tensor] = []  # of each row: ids [1, n + new_tokens], filled up to the newest token
        self._newest: list[int] = []
        self._keeps_logits = "logits_to_keep" in signature(model.forward).parameters

    @torch.no_grad()
    def read(self, rows: Sequence[AnswerRow]) -> list[ReadPrompts]:
        """Read the prompts of rows; the rows of this batch are not touched.

        Rows whose beginning is kept, or is that of another row, are read one after another, the others together.
        """
        if len(rows) == 1 or any(_begins_alike(row, rows) for row in rows):
            return [self._read_alone(row) for row in rows]
        device = self._device
        input_ids, mask = left_padded([row.prompt for row in rows], 0)
        lengths = [len(row.prompt) for row in rows]
        states = DynamicCache(config=self._model.config.get_text_config())
        logits = self._forward(
            input_ids.to(device),
            mask.to(device) if len(set(lengths)) > 1 else None,
            (mask.cumsum(dim=1) - 1).clamp(min=0).to(device),
            states,
            past_contexts(rows),
        )
        return [ReadPrompts(rows, lengths, states, logits)]

    def _read_alone(self, row: AnswerRow) -> ReadPrompts:
        kept = row.kept_prompts or KeptPrompts(0)
        states, common = kept.states(self._model, row.prompt)
        rest = row.prompt[None, common:].to(self._device)
        positions = torch.arange(common, len(row.prompt), device=self._device)[None]
        logits = self._forward(rest, None, positions, states, past_contexts([row]))
        kept.keep(row.prompt, states)
        return ReadPrompts([row], [len(row.prompt)], states, logits)

    @torch.no_grad()
    def add(self, prompts: ReadPrompts) -> None:
        """Add rows whose prompts were read, and choose the first token of each answer."""
        first = len(self.rows)
        self.rows += prompts.rows
        remaining = max(row.new_tokens - row.generated for row in self.rows)
        self._cache.join(prompts.states, prompts.lengths, remaining)
        for row in prompts.rows:
            text = torch.zeros(1, len(row.prompt) + row.new_tokens, dtype=torch.long, device=self._device)
            text[0, : len(row.prompt)] = row.prompt
            self._texts.append(text)
        self._newest += [0] * len(prompts.rows)
        self._pasts = past_contexts(self.rows)
        self._choose(prompts.logits, range(first, len(self.rows)))

    @torch.no_grad()
    def step(self) -> None:
        """Add a token to every row; rows whose answers have ended leave."""
        device, cache = self._device, self._cache
        newest = torch.tensor(self._newest, device=device)[:, None]
        logits = self._forward(newest, cache.mask(device), cache.positions(device), cache, self._pasts)
        cache.stepped()
        self._choose(logits, range(len(self.rows)))

    def leave(self, rows: Sequence[AnswerRow]) -> None:
        """Drop rows."""
        kept = [number for number, row in enumerate(self.rows) if row not in rows]
        if len(kept) < len(self.rows):
            self._keep(kept)

    def _forward(
        self, input_ids: Tensor, mask: Tensor | None, positions: Tensor, cache: Any, pasts: dict[str, Any]
    ) -> Tensor:
        """The logits [B, V] of the last tokens."""
        last = {"logits_to_keep": 1} if self._keeps_logits else {}
        kwargs = {KV_CACHE: cache, **last, **pasts}
        output = self._model(
            input_ids=input_ids, attention_mask=mask, position_ids=positions, use_cache=True, return_dict=True, **kwargs
        )
        logits: Tensor = output.logits[:, -1]
        return logits.to(device=input_ids.device, dtype=torch.float32, copy=True)

    def _choose(self, logits: Tensor, numbers: range) -> None:
        """Choose the next token of some rows; those that end leave."""
        scores = [
            self.rows[number].choose(self._text(number), logits[at : at + 1]) for at, number in enumerate(numbers)
        ]
        tokens = torch.cat(scores).argmax(dim=-1).tolist()
        ended = []
        for number, token_id in zip(numbers, tokens, strict=True):
            row = self.rows[number]
            self._texts[number][0, len(row.prompt) + row.generated] = token_id
            self._newest[number] = token_id
            if row.push(token_id):
                ended.append(number)
        self._keep([number for number in range(len(self.rows)) if number not in ended])

    def _text(self, number: int) -> Tensor:
        """The ids [1, n] of a row so far."""
        row = self.rows[number]
        return self._texts[number][:, : len(row.prompt) + row.generated]

    def _keep(self, numbers: Sequence[int]) -> None:
        if len(numbers) == len(self.rows):
            return
        self._cache.keep(numbers)
        self.rows = [self.rows[number] for number in numbers]
        self._texts = [self._texts[number] for number in numbers]
        self._newest = [self._newest[number] for number in numbers]
        if not self.rows:
            self._cache = RowCache()  # the buffers are given back
        self._pasts = past_contexts(self.rows)

    @property
    def _device(self) -> torch.device:
        device: torch.device = self._model.get_input_embeddings().weight.device
        return device


def _begins_alike(row: AnswerRow, rows: Sequence[AnswerRow]) -> bool:
    """Whether enough of a row's prompt is kept, or will be, because another of the rows begins with it."""
    kept = row.kept_prompts
    return kept is not None and kept.has_beginning(row.prompt, [other.prompt for other in rows if other is not row])

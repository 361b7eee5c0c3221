"""Generation of answers: token by token, with stop strings and cancellation.

The loop is transformers' `generate`. A stopping criterion passes each new token to the answer of its row.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from ..model.past_context import PastContext
from ..text.tokenization import GrowingText, TextTokenizer
from .answer import FinishReason
from .constraints.processors import Grammar, shortened_rows
from .sampling import logits_processors
from .sampling_settings import SamplingSettings
from .settings import AnswerSettings

__all__ = ["DecodedAnswer", "Sink", "eos_token_ids", "generate_answers"]

#: Receives each piece of text as soon as it is final.
Sink = Callable[[str], None]


class DecodedAnswer:
    """The text of one answer while it is being generated.

    Text that may be the beginning of a stop string, or part of an incomplete character, is held back until the next
    tokens decide.

    Args:
        tokenizer: the model's tokenizer.
        eos_ids: ids that end an answer.
        stops: stop strings.
        sink: receives each piece of text.
        call_begin: the text that begins a tool call. From there on the sink receives nothing.

    Attributes:
        ids: the tokens so far.
        text: the text that the sink has received.
        calls: the generated text from the first tool call on.
        finish_reason: why the answer ended; `None` until then.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        eos_ids: frozenset[int],
        stops: Sequence[str],
        sink: Sink,
        call_begin: str | None = None,
    ) -> None:
        self.ids: list[int] = []
        self.text = ""
        self.calls = ""
        self.finish_reason: FinishReason | None = None
        self._tokenizer = tokenizer
        self._call_begin = call_begin
        self._growing = GrowingText(tokenizer, special=call_begin is not None)
        self._eos_ids = eos_ids
        self._stops = stops
        self._sink = sink
        self._decoded = ""
        self._held = ""

    def push(self, token_id: int) -> bool:
        """Add the next token; return whether the answer has ended."""
        if self.finish_reason is None:
            if token_id in self._eos_ids:
                self.end("stop")
            else:
                self.ids.append(token_id)
                self._add(self._growing.add(token_id))
        return self.finish_reason is not None

    def end(self, reason: FinishReason) -> None:
        """End the answer: text that was held back becomes part of it."""
        if self.finish_reason is not None:
            return
        whole = self._tokenizer.decode(self.ids, special=self._call_begin is not None)
        if whole.startswith(self._decoded):  # the answer may end inside a character
            self._add(whole[len(self._decoded) :])
        if self.finish_reason is None:
            self.finish_reason = reason
            self._emit(len(self._held))

    def shorten(self) -> None:
        """Record that the text was completed early, within the token budget of its grammar."""
        if self.finish_reason == "stop":
            self.finish_reason = "length"

    def _add(self, piece: str) -> None:
        self._decoded += piece
        if self.calls:
            self.calls += piece
            return
        self._held += piece
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.finish_reason = "stop"
            self._emit(min(found))
        elif self._call_begin and (at := self._held.find(self._call_begin)) >= 0:
            self._emit(at)
            self.calls, self._held = self._held, ""
        else:
            self._emit(len(self._held) - self._undecided())

    def _undecided(self) -> int:
        """Count the characters at the end of the held text that may begin a stop string or a tool call."""
        markers = [*self._stops, self._call_begin] if self._call_begin else self._stops
        longest = max((len(marker) for marker in markers), default=1) - 1
        sizes = range(min(longest, len(self._held)), 0, -1)
        return next((size for size in sizes if any(m.startswith(self._held[-size:]) for m in markers)), 0)

    def _emit(self, count: int) -> None:
        piece, self._held = self._held[:count], self._held[count:]
        if piece:
            self.text += piece
            self._sink(piece)


@dataclass
class _StopRows(StoppingCriteria):
    """Passes each row's new token to its answer and stops finished rows; on cancellation all rows."""

    rows: Sequence[DecodedAnswer]
    cancelled: Event

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        if self.cancelled.is_set():
            done = [True for _ in self.rows]
        else:
            done = [row.push(token_id) for row, token_id in zip(self.rows, input_ids[:, -1].tolist(), strict=True)]
        return torch.tensor(done, device=input_ids.device)  # type: ignore[no-any-return,unused-ignore]


def generate_answers(
    model: PreTrainedModel,
    tokenizer: TextTokenizer,
    prompts: Sequence[Tensor],
    pasts: Sequence[PastContext | None],
    settings: AnswerSettings,
    sampling: SamplingSettings,
    new_tokens: int,
    sinks: Sequence[Sink],
    cancelled: Event,
    grammar: Grammar | None = None,
    call_begin: str | None = None,
) -> list[DecodedAnswer]:
    """Generate an answer to each prompt, as one batch.

    Args:
        model, tokenizer: the model and its tokenizer.
        prompts: ids [n] of each running text.
        pasts: the past context of each prompt, or `None`.
        settings: seed and stop strings.
        sampling: how tokens are chosen.
        new_tokens: the most tokens to generate.
        sinks: one for each prompt; called in this thread.
        cancelled: when set, generation ends within one token.
        grammar: the grammar that each answer must match.
        call_begin: see `DecodedAnswer`.
    """
    eos_ids = eos_token_ids(model, tokenizer)
    rows = [DecodedAnswer(tokenizer, eos_ids, settings.stop_strings, sink, call_begin) for sink in sinks]
    if not cancelled.is_set():
        padding = next(iter(eos_ids), 0)
        input_ids, mask = _padded(prompts, padding)
        device = model.get_input_embeddings().weight.device
        processors = logits_processors(
            sampling, settings.seed, (mask == 0).sum(dim=1).tolist(), input_ids.shape[1], device, grammar, new_tokens
        )
        # The checkpoint's generation config is part of `sampling` and must not be applied again: generate on a
        # shallow copy with an empty one, which shares the weights.
        plain: Any = copy.copy(model)
        plain.generation_config = GenerationConfig(eos_token_id=sorted(eos_ids) or None, pad_token_id=padding)
        plain.generate(
            input_ids.to(device),
            attention_mask=mask.to(device),
            **({"past_context": PastContext.stack(pasts)} if any(past is not None for past in pasts) else {}),
            max_new_tokens=new_tokens,
            do_sample=False,
            logits_processor=processors,
            stopping_criteria=StoppingCriteriaList([_StopRows(rows, cancelled)]),
        )
        for number in shortened_rows(processors):
            rows[number].shorten()
    for row in rows:
        row.end("cancelled" if cancelled.is_set() else "length")
    return rows


def _padded(prompts: Sequence[Tensor], padding: int) -> tuple[Tensor, Tensor]:
    """Stack prompts [n], padded on the left; return ids and attention mask [B, longest]."""
    longest = max(len(ids) for ids in prompts)
    input_ids = torch.full((len(prompts), longest), padding)
    mask = torch.zeros_like(input_ids)
    for number, ids in enumerate(prompts):
        input_ids[number, longest - len(ids) :] = ids
        mask[number, longest - len(ids) :] = 1
    return input_ids, mask


def eos_token_ids(model: PreTrainedModel, tokenizer: TextTokenizer) -> frozenset[int]:
    """Return the ids that end an answer: those of the checkpoint and of the tokenizer."""
    named = [model.generation_config.eos_token_id if model.generation_config else None]
    named += [model.config.get_text_config().eos_token_id, tokenizer.tokenizer.eos_token_id]
    flat = [number for value in named for number in (value if isinstance(value, list) else [value])]
    return frozenset(number for number in flat if number is not None)

"""From running text to an answer's text: token by token, with stop strings and a way to stop at once.

The loop is transformers' `generate`; what is here looks at each new token as a stopping criterion does.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from ..model.modeling import SharedLLMForCausalLM
from ..model.past_context import PastContext
from ..text.tokenization import GrowingText, TextTokenizer
from .answer import FinishReason
from .constraints.processors import Grammar
from .sampling import logits_processors
from .settings import AnswerSettings

__all__ = ["Sink", "Written", "write"]

#: Takes each piece of text as soon as it is certain.
Sink = Callable[[str], None]


class Written:
    """The text of one answer while it is written.

    Text that may be the beginning of a stop string, or of a character, is held back until it is certain.

    Args:
        tokenizer: the model's.
        eos_ids: ids that end an answer.
        stops: stop strings.
        sink: is given each piece.
        call_begin: the text that begins a call of a tool. From there on nothing is given to the sink.

    Attributes:
        ids: tokens so far.
        text: what the sink was given.
        calls: what was written from the first call on.
        finish_reason: why the answer ended, when it has.
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

    def push(self, number: int) -> bool:
        """Take the next token; whether the answer has ended."""
        if self.finish_reason is None:
            if number in self._eos_ids:
                self.end("stop")
            else:
                self.ids.append(number)
                self._add(self._growing.add(number))
        return self.finish_reason is not None

    def end(self, reason: FinishReason) -> None:
        """No token comes any more; what was held back is part of the answer."""
        if self.finish_reason is not None:
            return
        whole = self._tokenizer.decode(self.ids, special=self._call_begin is not None)
        if whole.startswith(self._decoded):  # it ends in the middle of a character
            self._add(whole[len(self._decoded) :])
        if self.finish_reason is None:
            self.finish_reason = reason
            self._give(len(self._held))

    def _add(self, piece: str) -> None:
        self._decoded += piece
        if self.calls:
            self.calls += piece
            return
        self._held += piece
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.finish_reason = "stop"
            self._give(min(found))
        elif self._call_begin and (at := self._held.find(self._call_begin)) >= 0:
            self._give(at)
            self.calls, self._held = self._held, ""
        else:
            self._give(len(self._held) - self._uncertain())

    def _uncertain(self) -> int:
        """Characters at the end of what is held that may begin a stop string, or a call."""
        ends = [*self._stops, self._call_begin] if self._call_begin else self._stops
        most = max((len(end) for end in ends), default=1) - 1
        sizes = range(min(most, len(self._held)), 0, -1)
        return next((size for size in sizes if any(end.startswith(self._held[-size:]) for end in ends)), 0)

    def _give(self, count: int) -> None:
        piece, self._held = self._held[:count], self._held[count:]
        if piece:
            self.text += piece
            self._sink(piece)


@dataclass
class _Watch(StoppingCriteria):
    """Hands each row's new token on, and ends rows; all of them when the answers are no longer wanted."""

    rows: Sequence[Written]
    cancelled: Event

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        if self.cancelled.is_set():
            done = [True for _ in self.rows]
        else:
            done = [row.push(number) for row, number in zip(self.rows, input_ids[:, -1].tolist(), strict=True)]
        return torch.tensor(done, device=input_ids.device)  # type: ignore[no-any-return,unused-ignore]


def write(
    model: SharedLLMForCausalLM,
    tokenizer: TextTokenizer,
    prompts: Sequence[Tensor],
    pasts: Sequence[PastContext | None],
    settings: AnswerSettings,
    new_tokens: int,
    sinks: Sequence[Sink],
    cancelled: Event,
    grammar: Grammar | None = None,
    call_begin: str | None = None,
) -> list[Written]:
    """Generate an answer to each prompt.

    Args:
        model, tokenizer: the model and its tokenizer.
        prompts: 1-D ids of each running text.
        pasts: the past context of each, or `None`.
        settings: how to generate.
        new_tokens: the most tokens to write.
        sinks: one for each prompt; called in this thread.
        cancelled: when set, generation ends within one token.
        grammar: what each answer keeps to.
        call_begin: see `Written`.
    """
    eos_ids = eos_token_ids(model, tokenizer)
    rows = [Written(tokenizer, eos_ids, settings.stop_strings, sink, call_begin) for sink in sinks]
    if not cancelled.is_set():
        longest = max(len(ids) for ids in prompts)
        padding = next(iter(eos_ids), 0)
        input_ids = torch.full((len(prompts), longest), padding)
        mask = torch.zeros_like(input_ids)
        for number, ids in enumerate(prompts):
            input_ids[number, longest - len(ids) :] = ids
            mask[number, longest - len(ids) :] = 1
        device = model.get_input_embeddings().weight.device
        # What the checkpoint would have generation do (sampling, penalties, forced tokens) must not mix with what was
        # asked for: generate on a shallow copy, which shares the weights, with nothing set.
        plain = copy.copy(model)
        plain.generation_config = GenerationConfig(eos_token_id=sorted(eos_ids) or None, pad_token_id=padding)
        plain.generate(
            input_ids.to(device),
            attention_mask=mask.to(device),
            past_context=PastContext.stack(pasts) if any(past is not None for past in pasts) else None,
            max_new_tokens=new_tokens,
            do_sample=False,
            logits_processor=logits_processors(
                settings, [longest - len(ids) for ids in prompts], device, grammar, new_tokens
            ),
            stopping_criteria=StoppingCriteriaList([_Watch(rows, cancelled)]),
        )
    for row in rows:
        row.end("cancelled" if cancelled.is_set() else "length")
    return rows


def eos_token_ids(model: SharedLLMForCausalLM, tokenizer: TextTokenizer) -> frozenset[int]:
    """The ids that end an answer: the checkpoint's, and the tokenizer's."""
    named = [model.generation_config.eos_token_id if model.generation_config else None]
    named += [model.config.get_text_config().eos_token_id, tokenizer.tokenizer.eos_token_id]
    flat = [number for value in named for number in (value if isinstance(value, list) else [value])]
    return frozenset(number for number in flat if number is not None)

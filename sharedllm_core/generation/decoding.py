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
from .answer import FinishReason, ThoughtPiece
from .constraints.limited_thoughts import LimitedThoughts
from .constraints.processors import Grammar, shortened_rows
from .decoded_thoughts import AnswerStart, DecodedThoughts
from .markers import prefix_at_end
from .sampling import logits_processors
from .sampling_settings import SamplingSettings
from .settings import AnswerSettings
from .thoughts import PromptThoughts, ThoughtNotation
from .tool_notations.beginning import CallBeginning

__all__ = ["DecodedAnswer", "Sink", "Thinking", "eos_token_ids", "generate_answers"]

#: Receives each piece of text as soon as it is final; pieces of thoughts as `ThoughtPiece`.
Sink = Callable[[str], None]


@dataclass(frozen=True)
class Thinking:
    """What is known of the thoughts of a batch before it is generated.

    Attributes:
        notation: the markers of thoughts.
        enabled: whether the model thinks before its answers.
        in_prompts: which part of the thoughts each prompt holds already.
    """

    notation: ThoughtNotation
    enabled: bool
    in_prompts: Sequence[PromptThoughts]

    def limited_thoughts(self, tokenizer: TextTokenizer) -> list[LimitedThoughts] | None:
        """Return the thoughts of each row before constrained answers; `None` if the model does not think."""
        if not self.enabled:
            return None
        return [LimitedThoughts(tokenizer, self.notation, in_prompt) for in_prompt in self.in_prompts]


class DecodedAnswer:
    """The text of one answer, and the thoughts before it, while they are being generated.

    Stop strings and tool calls are searched in the answer alone. Text that may be the beginning of one, or part of an
    incomplete character, is held back until the next tokens decide.

    Args:
        tokenizer: the model's tokenizer.
        eos_ids: ids that end an answer.
        stops: stop strings.
        sink: receives each piece of text.
        call_beginning: how a tool call is recognised, from where on the sink receives nothing; `None` if the answer
            calls no tools.
        notation: the markers of thoughts; by default there are none.
        begun: whether the prompt ends with the marker that begins the thoughts.
        exact: keep white space between thoughts and answer, since the answer matches a constraint as it is.

    Attributes:
        ids: the tokens of the answer so far.
        thoughts: the thoughts before the answer.
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
        call_beginning: CallBeginning | None = None,
        notation: ThoughtNotation | None = None,
        begun: bool = False,
        exact: bool = False,
    ) -> None:
        self.ids: list[int] = []
        self.thoughts = DecodedThoughts(
            tokenizer, notation or ThoughtNotation(), begun, lambda piece: sink(ThoughtPiece(piece))
        )
        self.text = ""
        self.calls = ""
        self.finish_reason: FinishReason | None = None
        self._tokenizer = tokenizer
        self._call_beginning = call_beginning
        self._growing = GrowingText(tokenizer, special=call_beginning is not None)
        self._eos_ids = eos_ids
        self._stops = stops
        self._sink = sink
        self._start: AnswerStart | None = None
        self._exact = exact
        self._rest = ""  # the part of the answer that is in the last token of the thoughts
        self._decoded = ""
        self._held = ""

    def push(self, token_id: int) -> bool:
        """Add the next token; return whether the answer has ended."""
        if self.finish_reason is None:
            if token_id in self._eos_ids:
                self.end("stop")
            elif self.thoughts.ended:
                self._push_answer(token_id)
            else:
                rest, answer_ids = self.thoughts.push(token_id)
                if self.thoughts.begun and self.thoughts.ended:
                    self._begin_after_thoughts(rest)
                for answer_id in answer_ids:
                    self._push_answer(answer_id)
        return self.finish_reason is not None

    def _begin_after_thoughts(self, rest: str) -> None:
        notation = self.thoughts.notation
        if not self._exact:
            self._start = AnswerStart(notation.answer_begin)
            self._stops = [*self._stops, notation.answer_end] if notation.answer_end else self._stops
        self._rest = rest if rest.strip() else ""
        self._receive(self._rest)

    def _push_answer(self, token_id: int) -> None:
        if self.finish_reason is None:
            self.ids.append(token_id)
            self._receive(self._growing.add(token_id), self._call_token(token_id))

    def end(self, reason: FinishReason) -> None:
        """End the answer: text that was held back becomes part of it."""
        if self.finish_reason is not None:
            return
        for token_id in self.thoughts.finish():
            self._push_answer(token_id)
        whole = self._rest + self._tokenizer.decode(self.ids, special=self._call_beginning is not None)
        if whole.startswith(self._decoded):  # the answer may end inside a character
            self._receive(whole[len(self._decoded) :])
        if self._start is not None:
            self._add(self._start.finish())
        if self.finish_reason is None:
            self.finish_reason = reason
            self._emit(len(self._held))

    def shorten(self) -> None:
        """Record that the text was completed early, within the token budget of its grammar."""
        if self.finish_reason == "stop":
            self.finish_reason = "length"

    def _call_token(self, token_id: int) -> str:
        """Return the content of a control token that begins a call; empty for any other token."""
        return self._call_beginning.tokens.get(token_id, "") if self._call_beginning and not self.calls else ""

    def _receive(self, piece: str, call_token: str = "") -> None:
        """Add decoded text, of which `call_token`, if any, is the end."""
        self._decoded += piece
        self._add(piece if self._start is None else self._start.push(piece), call_token)

    def _add(self, piece: str, call_token: str = "") -> None:
        if self.calls:
            self.calls += piece
            return
        self._held += piece
        text = self._held.removesuffix(call_token)
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.finish_reason = "stop"
            self._emit(min(found))
        elif call_token or (at := self._call_text_at()) >= 0:
            self._emit(len(text) if call_token else at)
            self.calls, self._held = self._held, ""
        else:
            self._emit(len(self._held) - self._undecided())

    def _call_text_at(self) -> int:
        """Return the position in the held text where a call begins with text, or -1."""
        return self._call_beginning.find(self._held, first=not self.text) if self._call_beginning else -1

    def _undecided(self) -> int:
        """Count the characters at the end of the held text that may begin a stop string or a tool call."""
        in_stop, beginning = prefix_at_end(self._held, self._stops), self._call_beginning
        return max(in_stop, beginning.undecided(self._held, first=not self.text) if beginning else 0)

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
    call_beginning: CallBeginning | None = None,
    thinking: Thinking | None = None,
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
        call_beginning: see `DecodedAnswer`.
        thinking: the thoughts before the answers; by default there are none.
    """
    eos_ids = eos_token_ids(model, tokenizer)
    rows = _new_answers(tokenizer, eos_ids, settings, sinks, call_beginning, thinking)
    thoughts = None if thinking is None else thinking.limited_thoughts(tokenizer)
    if not cancelled.is_set():
        padding = next(iter(eos_ids), 0)
        input_ids, mask = _padded(prompts, padding)
        device = model.get_input_embeddings().weight.device
        pads, prompt_tokens = (mask == 0).sum(dim=1).tolist(), input_ids.shape[1]
        processors = logits_processors(
            sampling, settings.seed, pads, prompt_tokens, device, grammar, new_tokens, thoughts
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


def _new_answers(
    tokenizer: TextTokenizer,
    eos_ids: frozenset[int],
    settings: AnswerSettings,
    sinks: Sequence[Sink],
    call_beginning: CallBeginning | None,
    thinking: Thinking | None,
) -> list[DecodedAnswer]:
    notation = None if thinking is None else thinking.notation
    begun = [thinking is not None and thinking.in_prompts[row] == "begun" for row in range(len(sinks))]
    exact = settings.constraint is not None
    return [
        DecodedAnswer(tokenizer, eos_ids, settings.stop_strings, sink, call_beginning, notation, is_begun, exact)
        for sink, is_begun in zip(sinks, begun, strict=True)
    ]


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

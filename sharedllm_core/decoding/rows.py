"""Rows: prompts with all that their answers need, each independent of the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from torch import Tensor
from transformers import LogitsProcessorList, PreTrainedModel

from ..generation.constraints.limited_thoughts import LimitedThoughts
from ..generation.constraints.processors import Grammar, is_shortened
from ..generation.sampling import logits_processors
from ..generation.sampling_settings import SamplingSettings
from ..generation.settings import AnswerSettings
from ..generation.thoughts import PromptThoughts, ThoughtNotation
from ..generation.tool_notations.beginning import CallBeginning
from ..model.past_context import PastContext, PastContextBatch
from ..text.tokenization import TextTokenizer
from .answer_text import DecodedAnswer, Sink
from .kept_prompts import KeptPrompts

__all__ = ["AnswerRow", "Thinking", "answer_rows", "eos_token_ids", "past_contexts"]


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

    def limited(self, row: int, tokenizer: TextTokenizer) -> LimitedThoughts | None:
        """Return the thoughts of a row before its constrained answer; `None` if the model does not think."""
        return LimitedThoughts(tokenizer, self.notation, self.in_prompts[row]) if self.enabled else None


@dataclass(eq=False)
class AnswerRow:
    """One prompt and the answer that is generated to it.

    Attributes:
        prompt: ids [n] of the running text.
        past: its past context, or `None`.
        answer: receives each token.
        new_tokens: the most tokens to generate.
        cancelled: when set, the answer ends within one token.
        processors: choose its next token, from ids [1, n] and logits [1, V].
        eos_ids: tokens that end the answer.
        kept_prompts: where the beginning of the prompt may be, and where it is kept; `None` to read all of it.
        generated: number of tokens so far.
        error: what choosing a token, or the sink, raised; the answer has ended with it.
    """

    prompt: Tensor
    past: PastContext | None
    answer: DecodedAnswer
    new_tokens: int
    cancelled: Event
    processors: LogitsProcessorList
    eos_ids: frozenset[int]
    kept_prompts: KeptPrompts | None = None
    generated: int = 0
    error: Exception | None = None

    def choose(self, ids: Tensor, logits: Tensor) -> Tensor:
        """Return logits [1, V] whose maximum is the next token, from the ids [1, n] so far and the model's logits."""
        if self.error is None and self.processors:
            try:
                chosen: Tensor = self.processors(ids, logits)
                return chosen
            except Exception as error:
                self.error = error
        return logits

    def push(self, token_id: int) -> bool:
        """Add the next token; return whether the answer has ended."""
        self.generated += 1
        try:
            if self.error is None and not self.answer.push(token_id) and self.generated < self.new_tokens:
                return False
        except Exception as error:
            self.error = error
        return True

    def end(self) -> None:
        """End the answer, if it has not ended: it is cancelled, or its tokens are used up."""
        if self.error is not None:
            return
        try:
            if is_shortened(self.processors):
                self.answer.shorten()
            self.answer.end("cancelled" if self.cancelled.is_set() else "length")
        except Exception as error:
            self.error = error


def answer_rows(
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
    kept_prompts: KeptPrompts | None = None,
) -> list[AnswerRow]:
    """Make a row of each prompt.

    Args:
        model, tokenizer: the model and its tokenizer.
        prompts: ids [n] of each running text.
        pasts: the past context of each prompt, or `None`.
        settings: seed and stop strings.
        sampling: how tokens are chosen.
        new_tokens: the most tokens to generate.
        sinks: one for each prompt; called in the thread that decodes.
        cancelled: when set, generation ends within one token.
        grammar: the grammar that each answer must match.
        call_beginning: see `DecodedAnswer`.
        thinking: the thoughts before the answers; by default there are none.
        kept_prompts: see `AnswerRow`. Rows with a past context are read without.
    """
    eos_ids = eos_token_ids(model, tokenizer)
    device = model.get_input_embeddings().weight.device
    rows = []
    for number, (prompt, past, sink) in enumerate(zip(prompts, pasts, sinks, strict=True)):
        answer = DecodedAnswer(
            tokenizer,
            eos_ids,
            settings.stop_strings,
            sink,
            call_beginning,
            None if thinking is None else thinking.notation,
            begun=thinking is not None and thinking.in_prompts[number] == "begun",
            exact=settings.constraint is not None,
        )
        thoughts = None if thinking is None else thinking.limited(number, tokenizer)
        processors = logits_processors(sampling, settings.seed, len(prompt), device, grammar, new_tokens, thoughts)
        kept = kept_prompts if past is None else None
        rows.append(AnswerRow(prompt, past, answer, new_tokens, cancelled, processors, eos_ids, kept))
    return rows


def past_contexts(rows: Sequence[AnswerRow]) -> dict[str, PastContextBatch]:
    """Return the past contexts of rows as an argument of the model; no argument where no row has one."""
    pasts = [row.past for row in rows]
    return {"past_context": PastContext.stack(pasts)} if any(past is not None for past in pasts) else {}


def eos_token_ids(model: PreTrainedModel, tokenizer: TextTokenizer) -> frozenset[int]:
    """Return the ids that end an answer: those of the checkpoint and of the tokenizer."""
    named = [model.generation_config.eos_token_id if model.generation_config else None]
    named += [model.config.get_text_config().eos_token_id, tokenizer.tokenizer.eos_token_id]
    flat = [number for value in named for number in (value if isinstance(value, list) else [value])]
    return frozenset(number for number in flat if number is not None)

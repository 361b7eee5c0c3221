"""From questions and libraries to answers: validate, encode past context, generate, score the evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, count
from threading import Event

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..decoding.answer_text import DecodedAnswer, Sink
from ..decoding.decoder import Decoder
from ..decoding.kept_prompts import KeptPrompts
from ..decoding.rows import Thinking, answer_rows, eos_token_ids
from ..errors import UntrainedInjectionError, setting
from ..generation.answer import ReadingMode
from ..generation.constraints.constraint import Constraint
from ..generation.constraints.limited_thoughts import LimitedThoughts
from ..generation.constraints.processors import Grammar, GrammarTokens
from ..generation.messages import Message
from ..generation.prompting import (
    Prompt,
    PromptSize,
    build_prompt,
    count_prompt_tokens,
    empty_question_ids,
)
from ..generation.sampling_settings import SamplingSettings
from ..generation.settings import AnswerSettings
from ..generation.thoughts import ThoughtNotation
from ..generation.tool_notations.notation import ToolNotation
from ..method.config import SharedLLMConfig
from ..model.window import window_tokens
from ..text.documents import Document
from ..text.library import Library, make_library
from ..text.tokenization import TextTokenizer
from .answered_question import AnsweredQuestion
from .cut_off_warning import warn_cut_off
from .evidence import state_scores
from .fair_lock import FairLock
from .kinds import is_trained, model_name
from .progress import Progress
from .quoting import Quoted, Quoter, check_quote_room
from .reading import ReadPast, TreeReader

__all__ = ["Answering", "PreparedQuestions", "Question"]

_MAX_CACHED_GRAMMARS = 64  # applications reuse a few schemas

#: A question as a string, or messages of which the last one is answered.
Question = str | Sequence[Message]


class Answering:
    """Answers questions with one model and one cache.

    Args:
        model, tokenizer: the model and its tokenizer.
        method: cuts what did not fit into the window into chunks.
        reader: encodes past context; `None` for an engine that only quotes.
        quoter: places passages; `None` for an engine that only injects.
        quote_tokens: the most tokens of passages, unless a question sets it.
        thinking: whether the model thinks before it answers, unless a question sets it; `None` for the default of its
            chat template.
        decoder: generates the answers.
        kept_prompts: prompts that were read, for later ones that begin alike.
        lock: held while the model runs.
        allow_untrained: whether to answer with an injection that was never trained.

    Attributes:
        sampling: how tokens are chosen where a question does not say, by the checkpoint's generation config.

    Raises:
        CheckpointError: a generation config with a value out of range.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: TextTokenizer,
        method: SharedLLMConfig,
        reader: TreeReader | None,
        quoter: Quoter | None,
        quote_tokens: int,
        thinking: bool | None,
        decoder: Decoder,
        kept_prompts: KeptPrompts,
        lock: FairLock,
        allow_untrained: bool,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.method = method
        self.reader = reader
        self.quoter = quoter
        self.quote_tokens = quote_tokens
        self.thinking = thinking
        self.decoder = decoder
        self.kept_prompts = kept_prompts
        self.lock = lock
        self.allow_untrained = allow_untrained
        self.sampling = SamplingSettings.from_checkpoint(model.generation_config)
        self.window_tokens = window_tokens(model.config, tokenizer.tokenizer)
        self._empty_prompts: dict[bool | None, Tensor] = {}
        self._grammar = lru_cache(_MAX_CACHED_GRAMMARS)(self._compile_grammar)
        if thinking is not None:
            self.thought_notation.thinks(thinking)  # raises if the model cannot

    def prepare(
        self, questions: Sequence[Question], libraries: Sequence[Library | None], settings: AnswerSettings
    ) -> "PreparedQuestions":
        """Build the prompts and validate all input before the model runs.

        Args:
            questions: the questions to answer as one batch.
            libraries: the documents of each question, or `None`.
            settings: shared by all questions.

        Raises:
            InputError: an empty question, a constraint that cannot be met, or thinking that the model does not support.
            WindowError: the window is too small for a last turn, or for `quote_tokens` beside the answer.
            UntrainedInjectionError: the model would ignore the libraries.
        """
        thinking = self.thinking if settings.thinking is None else settings.thinking
        thinks = self.thought_notation.thinks(thinking)
        new_tokens = settings.new_tokens(self.window_tokens, thinks)
        if self.quoter is not None and settings.quote_tokens is not None:
            check_quote_room(settings.quote_tokens, self.window_tokens, new_tokens)
        tools = settings.offered_tools
        quote_tokens = self.quote_budget(settings)
        prompts = [
            build_prompt(question, self.tokenizer, self.window_tokens, new_tokens, tools, thinking, quote_tokens)
            for question in questions
        ]
        with_moved = [self._add_moved_turns(*row) for row in zip(libraries, prompts, strict=True)]
        if any(library is not None for library in with_moved):
            has_documents = any(library is not None for library in libraries)
            past = "the documents" if has_documents else "the messages that do not fit into the window"
            self._check_reads(past, settings)
        constraint = settings.constraint if tools is None else self.notation.constraint(tools, settings.constraint)
        grammar = None if constraint is None else self._grammar(constraint)
        if grammar is not None:
            grammar.check_room(new_tokens, self._least_thought_tokens if thinks else 0)
        return PreparedQuestions(self, prompts, with_moved, settings, new_tokens, thinks, grammar)

    def prompt_size(self, question: Question, settings: AnswerSettings) -> PromptSize:
        """Return how much of the window a question needs, and how much there is."""
        thinking = self.thinking if settings.thinking is None else settings.thinking
        new_tokens = settings.new_tokens(self.window_tokens, self.thought_notation.thinks(thinking))
        return PromptSize(
            tokens=count_prompt_tokens(question, self.tokenizer, settings.offered_tools, thinking),
            max_tokens=self.window_tokens - new_tokens,
            window_tokens=self.window_tokens,
            quote_tokens=self.quote_budget(settings),
        )

    def quote_budget(self, settings: AnswerSettings) -> int:
        """The most tokens of passages to quote; 0 for an engine that only injects."""
        if self.quoter is None:
            return 0
        return self.quote_tokens if settings.quote_tokens is None else settings.quote_tokens

    @cached_property
    def _grammar_tokens(self) -> GrammarTokens:
        vocabulary: int = self.model.config.get_text_config().vocab_size
        return GrammarTokens(self.tokenizer, eos_token_ids(self.model, self.tokenizer), vocabulary)

    def _compile_grammar(self, constraint: Constraint) -> Grammar:
        return Grammar(constraint, self._grammar_tokens)

    @property
    def notation(self) -> ToolNotation:
        """The notation in which the model writes tool calls."""
        return ToolNotation.for_tokenizer(self.tokenizer)

    @property
    def thought_notation(self) -> ThoughtNotation:
        """The notation in which the model writes thoughts."""
        return ThoughtNotation.for_tokenizer(self.tokenizer)

    @property
    def _least_thought_tokens(self) -> int:
        """The tokens of the markers around empty thoughts."""
        return LimitedThoughts(self.tokenizer, self.thought_notation, "none").least_tokens

    def empty_prompt_ids(self, thinking: bool | None) -> Tensor:
        """Return the token ids [n] of the prompt of an empty question, the baseline for evidence scores."""
        if thinking not in self._empty_prompts:
            self._empty_prompts[thinking] = empty_question_ids(self.tokenizer, thinking)
        return self._empty_prompts[thinking]

    def _add_moved_turns(self, library: Library | None, prompt: Prompt) -> Library | None:
        """Append the turns that did not fit the window to the library, as one more document."""
        if not prompt.moved:
            return library
        text = "\n\n".join(self._message_text(message) for message in prompt.moved)
        existing = set() if library is None else {document.id for document in library}
        names = chain(["conversation"], (f"conversation {number}" for number in count(2)))
        name = next(name for name in names if name not in existing)
        turns = make_library([Document(text, id=name)], self.tokenizer, self.method)
        return turns if library is None else library.joined(turns)

    def _message_text(self, message: Message) -> str:
        calls = message.get("tool_calls")
        return (
            f"{message['role'].capitalize()}: {message['content']}{self.notation.format_calls(calls) if calls else ''}"
        )

    @property
    def mode(self) -> ReadingMode:
        """How documents are read."""
        if self.reader is None:
            return "quoted"
        return "injected" if self.quoter is None else "both"

    def _check_reads(self, past: str, settings: AnswerSettings) -> None:
        """Check that the past context is quoted, or injected by an injection that was trained.

        Args:
            past: what the past context is.
            settings: of the answers.

        Raises:
            UntrainedInjectionError: it would be ignored.
        """
        is_read = self.reader is None or self.quote_budget(settings) > 0
        if is_read or self.allow_untrained or is_trained(self.model):
            return
        quote = f"leave {setting('reading')} out" if self.quoter is None else f"raise {setting('quote_tokens')}"
        raise UntrainedInjectionError(
            f"the model's injection was never trained (its output projections are zero), so it would ignore {past}",
            remedy=[
                f"{quote}: passages are then quoted",
                "train it with `sharedllm train`",
                "load a trained one",
                f"pass {setting('allow_untrained', True)} to see the base model's answers",
            ],
        )


@dataclass(frozen=True)
class PreparedQuestions:
    """A batch of validated questions, ready for generation."""

    answering: Answering
    prompts: Sequence[Prompt]
    libraries: Sequence[Library | None]
    settings: AnswerSettings
    new_tokens: int
    thinks: bool
    grammar: Grammar | None = None

    def generate(self, sinks: Sequence[Sink], cancelled: Event) -> list[AnsweredQuestion]:
        """Encode the past context and generate all answers in one batch.

        Args:
            sinks: one per question; receives the answer's text, and before it the thoughts, piece by piece.
            cancelled: set it from another thread to stop within one token.
        """
        answering = self.answering
        rows = list(zip(self.prompts, self.libraries, strict=True))
        quotes = [self._quote(prompt, library, cancelled) for prompt, library in rows]
        pasts = [self._read_past(prompt, library, cancelled) for prompt, library in rows]
        in_prompts = [prompt.thoughts for prompt in self.prompts]
        generated = answer_rows(
            answering.model,
            answering.tokenizer,
            [quoted.ids for quoted in quotes],
            [None if read is None else read.past for read in pasts],
            self.settings,
            answering.sampling.with_overrides(self.settings),
            self.new_tokens,
            sinks,
            cancelled,
            self.grammar,
            answering.notation.beginning(self.settings.offered_tools, constrained=self.settings.constraint is not None),
            Thinking(answering.thought_notation, self.thinks, in_prompts),
            answering.kept_prompts,
        )
        answering.decoder.decode(generated)
        decoded = [row.answer for row in generated]
        scores = [self._state_scores(*row) for row in zip(self.prompts, quotes, decoded, pasts, strict=True)]
        warn_cut_off(decoded, self.settings, self.new_tokens, model_name(answering.model))
        return [
            AnsweredQuestion(
                answering.mode,
                answering.notation,
                prompt,
                library,
                quoted,
                read,
                text,
                row_scores,
                self.settings.num_evidence,
            )
            for (prompt, library), quoted, read, text, row_scores in zip(
                rows, quotes, pasts, decoded, scores, strict=True
            )
        ]

    def _quote(self, prompt: Prompt, library: Library | None, cancelled: Event) -> Quoted:
        quoter, settings = self.answering.quoter, self.settings
        if quoter is None or library is None or cancelled.is_set():
            return Quoted(prompt.ids, (), prompt.messages)
        room_tokens = self.answering.window_tokens - self.new_tokens
        quote_tokens = self.answering.quote_budget(settings)
        return quoter.quote(prompt, library, quote_tokens, room_tokens, settings.offered_tools)

    def _read_past(self, prompt: Prompt, library: Library | None, cancelled: Event) -> ReadPast | None:
        if self.answering.reader is None or library is None or cancelled.is_set():
            return None
        with Progress(self.settings.progress) as progress:
            return self.answering.reader.past_context(library, prompt.question, prompt.query_ids, progress, cancelled)

    def _state_scores(
        self, prompt: Prompt, quoted: Quoted, decoded: DecodedAnswer, read: ReadPast | None
    ) -> Tensor | None:
        if read is None or not decoded.ids or not self.settings.num_evidence or decoded.finish_reason == "cancelled":
            return None
        answer_ids = torch.tensor(decoded.ids)
        empty_prompt_ids = self.answering.empty_prompt_ids(prompt.thinking)
        with self.answering.lock:
            return state_scores(self.answering.model, quoted.ids, answer_ids, empty_prompt_ids, read.past)

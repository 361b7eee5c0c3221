"""From questions and libraries to answers: check, read, write, look at what they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, count
from threading import Event
from typing import Any

import torch
from torch import Tensor

from ..errors import UntrainedInjectionError, setting
from ..generation.answer import Answer, Usage
from ..generation.constraints.constraint import Constraint
from ..generation.constraints.processors import Grammar, GrammarTokens
from ..generation.decoding import DecodedAnswer, Sink, eos_token_ids, generate_answers
from ..generation.prompting import Message, Prompt, build_prompt, empty_question_ids
from ..generation.settings import AnswerSettings
from ..generation.tools import ToolNotation
from ..model.modeling import SharedLLMForCausalLM
from ..text.documents import Document
from ..text.library import Library, make_library
from ..text.tokenization import TextTokenizer
from .evidence import evidence_spans, state_scores, token_scores
from .fair_lock import FairLock
from .inspection import Inspection, inspected
from .progress import Progress
from .reading import ReadPast, TreeReader

__all__ = ["Answering", "Prepared", "Question"]

_GRAMMARS = 64  # kept ready: an application asks by the same few schemas again and again

#: What to answer: a question, or messages of which the last is to be answered.
Question = str | Sequence[Message]


class Answering:
    """Answers with one model from one cache.

    Args:
        model, tokenizer: the model and its tokenizer.
        reader: reads past context.
        lock: held while the model runs.
        allow_untrained: whether to answer with an injection that was never trained.
    """

    def __init__(
        self,
        model: SharedLLMForCausalLM,
        tokenizer: TextTokenizer,
        reader: TreeReader,
        lock: FairLock,
        allow_untrained: bool,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.reader = reader
        self.lock = lock
        self.allow_untrained = allow_untrained
        self._grammar = lru_cache(_GRAMMARS)(self._new_grammar)

    def prepare(
        self, questions: Sequence[Question], libraries: Sequence[Library | None], settings: AnswerSettings
    ) -> "Prepared":
        """Check everything that can be wrong, before the model runs.

        Raises:
            InputError: an empty question, or a constraint that cannot be kept to.
            WindowError: a last turn that is longer than the window.
            UntrainedInjectionError: the model would ignore the libraries.
        """
        window: int = self.model.config.get_text_config().max_position_embeddings
        new_tokens = settings.new_tokens(window)
        tools = settings.offered_tools
        prompts = [build_prompt(question, self.tokenizer, window, new_tokens, tools) for question in questions]
        with_moved = [self._with_moved(library, prompt) for library, prompt in zip(libraries, prompts, strict=True)]
        if any(library is not None for library in with_moved):
            self._check_trained()
        constraint = settings.constraint if tools is None else self.notation.constraint(tools, settings.constraint)
        grammar = None if constraint is None else self._grammar(constraint)
        if grammar is not None:
            grammar.check_room(new_tokens)
        return Prepared(self, prompts, with_moved, settings, new_tokens, grammar)

    @cached_property
    def _grammar_tokens(self) -> GrammarTokens:
        vocabulary: int = self.model.config.get_text_config().vocab_size
        return GrammarTokens(self.tokenizer, eos_token_ids(self.model, self.tokenizer), vocabulary)

    def _new_grammar(self, constraint: Constraint) -> Grammar:
        return Grammar(constraint, self._grammar_tokens)

    @cached_property
    def notation(self) -> ToolNotation:
        """How the model writes calls of tools."""
        return ToolNotation.for_tokenizer(self.tokenizer)

    @cached_property
    def unasked(self) -> Tensor:
        """Ids of a running text with an empty question."""
        return empty_question_ids(self.tokenizer)

    def _with_moved(self, library: Library | None, prompt: Prompt) -> Library | None:
        """The library, and after it the turns that did not fit into the window."""
        if not prompt.moved:
            return library
        said = "\n\n".join(self._said(message) for message in prompt.moved)
        taken = set() if library is None else {document.id for document in library}
        names = chain(["conversation"], (f"conversation {number}" for number in count(2)))
        name = next(name for name in names if name not in taken)
        turns = make_library([Document(said, id=name)], self.tokenizer, self.model.method)
        return turns if library is None else library.joined(turns)

    def _said(self, message: Message) -> str:
        calls = message.get("tool_calls")
        return (
            f"{message['role'].capitalize()}: {message['content']}{self.notation.format_calls(calls) if calls else ''}"
        )

    def _check_trained(self) -> None:
        layers: Any = self.model.injection
        # Row by row, since the first one tells already: this is asked at every question.
        if self.allow_untrained or any(bool(row.any()) for layer in layers for row in layer.o_proj.weight):
            return
        raise UntrainedInjectionError(
            "the model's injection was never trained (its output projections are zero), so it would "
            "ignore the documents",
            remedy=[
                "train it with `sharedllm train`",
                "load a trained one",
                f"pass {setting('allow_untrained', True)} to see the base model's answers",
            ],
        )


@dataclass(frozen=True)
class Prepared:
    """Questions that are ready to be answered, side by side."""

    answering: Answering
    prompts: Sequence[Prompt]
    libraries: Sequence[Library | None]
    settings: AnswerSettings
    new_tokens: int
    grammar: Grammar | None = None

    def write(self, sinks: Sequence[Sink], cancelled: Event) -> "list[Answered]":
        """Write the answers; each sink is given the pieces of one. Ends within one token when cancelled."""
        answering = self.answering
        pasts = [
            self._past(library, prompt, cancelled) for library, prompt in zip(self.libraries, self.prompts, strict=True)
        ]
        with answering.lock:
            written = generate_answers(
                answering.model,
                answering.tokenizer,
                [prompt.ids for prompt in self.prompts],
                [None if read is None else read.past for read in pasts],
                self.settings,
                self.new_tokens,
                sinks,
                cancelled,
                self.grammar,
                answering.notation.begin.strip() if self.settings.offered_tools else None,
            )
            scores = [self._scores(*row) for row in zip(self.prompts, written, pasts, strict=True)]
        rows = zip(self.prompts, self.libraries, pasts, written, scores, strict=True)
        return [Answered(*row, self.settings.num_evidence, answering.notation) for row in rows]

    def _past(self, library: Library | None, prompt: Prompt, cancelled: Event) -> ReadPast | None:
        if library is None or cancelled.is_set():
            return None
        with Progress(self.settings.progress) as progress:
            return self.answering.reader.past_context(library, prompt.query_ids, progress, cancelled)

    def _scores(self, prompt: Prompt, written: DecodedAnswer, read: ReadPast | None) -> Tensor | None:
        if read is None or not written.ids or not self.settings.num_evidence or written.finish_reason == "cancelled":
            return None
        answer_ids = torch.tensor(written.ids)
        return state_scores(self.answering.model, prompt.ids, answer_ids, self.answering.unasked, read.past)


@dataclass(frozen=True)
class Answered:
    """One answer with everything that led to it."""

    prompt: Prompt
    library: Library | None
    read: ReadPast | None
    written: DecodedAnswer
    scores: Tensor | None
    num_evidence: int
    notation: ToolNotation

    def answer(self) -> Answer:
        """What the caller is given."""
        spans = () if self.library is None else evidence_spans(self.library, self._token_scores, self.num_evidence)
        usage = Usage(
            past_context_tokens=0 if self.library is None else self.library.num_tokens,
            cached_tokens=0 if self.read is None else self.read.cached_tokens,
            running_text_tokens=len(self.prompt.ids),
            completion_tokens=len(self.written.ids),
            injected_states=0 if self.read is None else self.read.past.num_states,
        )
        written = self.written
        assert written.finish_reason is not None
        calls = self.notation.parse_calls(written.calls)
        return Answer(written.text, written.finish_reason, usage, spans, calls, tuple(self.prompt.moved))

    def inspection(self) -> Inspection:
        """The answer, and how finely each part of the documents was injected."""
        assert self.library is not None
        assert self.read is not None
        return inspected(self.answer(), self.library, self.read.past, self._token_scores)

    @cached_property
    def _token_scores(self) -> list[Tensor]:
        if self.library is None or self.read is None or self.scores is None:
            return [] if self.library is None else [torch.zeros(0) for _ in self.library.documents]
        return token_scores(self.library, self.read.past, self.scores)

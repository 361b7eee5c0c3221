"""`AnswerSettings`: token budget, sampling, stop strings, constraint, tools and evidence of an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypedDict

from ..errors import InputError, setting
from ..method.checks import check_number, check_that, check_whole
from ..text.unicode import well_formed
from .constraints.constraint import Constraint
from .tools import ToolChoice, Tools

__all__ = ["AnswerOptions", "AnswerSettings"]

DEFAULT_NEW_TOKENS = 256
DEFAULT_THINKING_TOKENS = 2048  # of an answer with thoughts, which are often longer than the answer


class AnswerOptions(TypedDict, total=False):
    """Keyword arguments of `ask`, `stream` and their variants; see `AnswerSettings`."""

    max_new_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    repetition_penalty: float | None
    seed: int | None
    stop: str | Sequence[str]
    constraint: Constraint | None
    tools: Sequence[Mapping[str, Any]]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    num_evidence: int
    quote_tokens: int | None
    thinking: bool | None
    progress: bool | None


@dataclass(frozen=True, kw_only=True)
class AnswerSettings:
    """Settings of one answer, validated when they are made.

    Attributes:
        max_new_tokens: the most tokens to generate, thoughts included; by default 256, or 2,048 if the model thinks,
            but never more than a quarter of the window.
        temperature: 0 is greedy decoding; above 0, tokens are sampled. `None`, here and in the next three, takes the
            value of the checkpoint's generation config (`engine.sampling`).
        top_p: nucleus sampling: sample from the most likely tokens that together have this probability.
        top_k: sample from the k most likely tokens; 0 for all.
        repetition_penalty: above 1, tokens that already occur in the running text become less likely.
        seed: the same seed gives the same samples, alone or in a batch; `None` for a new seed each time.
        stop: strings that end the answer; they are not part of it.
        constraint: a grammar for the answer, such as `Constraint.json_schema(…)`. Every answer matches it within
            `max_new_tokens`, whatever the model.
        tools: functions that the answer may call, in OpenAI's format: `{"type": "function", "function": {"name": …,
            "description": …, "parameters": …}}`. Calls are returned in `Answer.tool_calls`; their arguments match the
            parameters' schema. With a constraint, the answer is a call or matches the constraint.
        tool_choice: `"auto"`, `"none"`, `"required"`, or the name of the tool to call.
        parallel_tool_calls: whether one answer may contain several calls.
        num_evidence: the most spans of evidence to return; 0 skips evidence, which saves two short runs of the model.
        quote_tokens: the most tokens of passages to quote; `None` for the engine's setting. More than the window holds
            beside the answer is an error. An engine that only injects quotes none.
        thinking: whether a reasoning model thinks before it answers; `None` for the engine's setting, or else for the
            default of the model's chat template.
        progress: show a progress bar on stderr while documents are read; `None` shows it only on a terminal.

    Raises:
        InputError: a value out of range.
    """

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: str | Sequence[str] = ()
    constraint: Constraint | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    num_evidence: int = 5
    quote_tokens: int | None = None
    thinking: bool | None = None
    progress: bool | None = False

    def __post_init__(self) -> None:
        if self.max_new_tokens is not None:
            check_whole("max_new_tokens", self.max_new_tokens, at_least=1, error=InputError)
        if self.seed is not None:
            check_whole("seed", self.seed, at_least=0, at_most=2**63 - 1, error=InputError)
        if self.quote_tokens is not None:
            check_whole("quote_tokens", self.quote_tokens, at_least=0, error=InputError)
        check_whole("num_evidence", self.num_evidence, at_least=0, error=InputError)
        self._check("thinking", self.thinking is None or isinstance(self.thinking, bool), "True, False or None")
        self._check_sampling()
        stops = [self.stop] if isinstance(self.stop, str) else self.stop
        right = isinstance(stops, Sequence) and all(isinstance(text, str) and text for text in stops)
        self._check("stop", right, "a string or a list of strings, none empty")
        allowed = self.constraint is None or isinstance(self.constraint, Constraint)
        self._check("constraint", allowed, "a Constraint, such as Constraint.json_schema(…), or None")
        listed = isinstance(self.tools, Sequence) and not isinstance(self.tools, str)
        self._check("tools", listed, "a list of tools")
        _ = self.offered_tools  # raises for invalid tools
        if self.constraint is not None and stops:
            raise InputError(
                f"{setting('stop', self.stop)} could cut off an answer before it matches {setting('constraint')}",
                remedy="give one of them, not both",
            )

    @classmethod
    def from_options(cls, options: AnswerOptions | dict[str, Any]) -> Self:
        """Make settings from keyword arguments.

        Raises:
            InputError: an unknown name, or a value out of range.
        """
        if unknown := sorted(set(options) - set(AnswerOptions.__annotations__)):
            raise InputError(f"unknown settings {unknown}", remedy=f"known are {sorted(AnswerOptions.__annotations__)}")
        return cls(**options)

    @cached_property
    def offered_tools(self) -> Tools | None:
        """The validated tools with their choice; `None` without tools."""
        return Tools.from_openai(self.tools, self.tool_choice, self.parallel_tool_calls)

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """`stop` as a tuple of well-formed strings."""
        stops = (self.stop,) if isinstance(self.stop, str) else self.stop
        return tuple(map(well_formed, stops))

    def new_tokens(self, window_tokens: int, thinks: bool = False) -> int:
        """Return the token budget of the answer with a base model of this window, which thinks before it or not."""
        default = DEFAULT_THINKING_TOKENS if thinks else DEFAULT_NEW_TOKENS
        return self.max_new_tokens or max(1, min(default, window_tokens // 4))

    def _check_sampling(self) -> None:
        if self.top_k is not None:
            check_whole("top_k", self.top_k, at_least=0, error=InputError)
        if self.temperature is not None:
            check_number("temperature", self.temperature, at_least=0, at_most=100, error=InputError)
        if self.top_p is not None:
            check_number("top_p", self.top_p, above=0, at_most=1, error=InputError)
        if self.repetition_penalty is not None:
            check_number("repetition_penalty", self.repetition_penalty, above=0, at_most=100, error=InputError)

    def _check(self, name: str, allowed: bool, limit: str) -> None:
        check_that(allowed, name, getattr(self, name), limit, error=InputError)

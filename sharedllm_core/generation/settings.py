"""How an answer is generated: length, sampling, stop strings, evidence. Checked once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypedDict

from ..errors import InputError, setting
from ..method.checks import check_number, check_that, check_whole
from .constraints.constraint import Constraint
from .tools import ToolChoice, Tools

__all__ = ["AnswerOptions", "AnswerSettings"]

DEFAULT_NEW_TOKENS = 256


class AnswerOptions(TypedDict, total=False):
    """The keyword arguments of every way of asking; see `AnswerSettings`."""

    max_new_tokens: int | None
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    seed: int | None
    stop: str | Sequence[str]
    constraint: Constraint | None
    tools: Sequence[Mapping[str, Any]]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    num_evidence: int
    progress: bool | None


@dataclass(frozen=True, kw_only=True)
class AnswerSettings:
    """How an answer is generated.

    Attributes:
        max_new_tokens: the most tokens to write; by default 256, or a quarter of a window smaller than 1,024.
        temperature: 0 takes the likeliest token each time; above, tokens are drawn.
        top_p: draw only from the likeliest tokens that together have this probability.
        top_k: draw only from so many likeliest tokens; 0 for all.
        repetition_penalty: above 1, tokens that stand in the running text become less likely.
        seed: the same seed gives the same draws, alone or in a batch; `None` draws anew each time.
        stop: strings at which the answer ends; they are not part of it.
        constraint: what the answer may look like, such as `Constraint.json_schema(…)`. The answer keeps to it within
            `max_new_tokens`, whatever the model.
        tools: functions that the answer may call, in OpenAI's form: `{"type": "function", "function": {"name": …,
            "description": …, "parameters": …}}`. What it calls stands in `Answer.tool_calls`, with arguments that fit
            the parameters. With a constraint, the answer is a call or keeps to the constraint.
        tool_choice: `"auto"`, `"none"`, `"required"`, or the name of the tool to call.
        parallel_tool_calls: whether one answer may hold several calls.
        num_evidence: the most spans of evidence to give; 0 measures none, which saves two short runs of the model.
        progress: show a progress bar on stderr while documents are read; `None` for only when that is a terminal.

    Raises:
        InputError: a value out of range.
    """

    max_new_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: str | Sequence[str] = ()
    constraint: Constraint | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    num_evidence: int = 5
    progress: bool | None = False

    def __post_init__(self) -> None:
        if self.max_new_tokens is not None:
            check_whole("max_new_tokens", self.max_new_tokens, at_least=1, error=InputError)
        if self.seed is not None:
            check_whole("seed", self.seed, at_least=0, at_most=2**63 - 1, error=InputError)
        check_whole("top_k", self.top_k, at_least=0, error=InputError)
        check_whole("num_evidence", self.num_evidence, at_least=0, error=InputError)
        check_number("temperature", self.temperature, at_least=0, at_most=100, error=InputError)
        check_number("top_p", self.top_p, above=0, at_most=1, error=InputError)
        check_number("repetition_penalty", self.repetition_penalty, above=0, at_most=100, error=InputError)
        stops = [self.stop] if isinstance(self.stop, str) else self.stop
        right = isinstance(stops, Sequence) and all(isinstance(text, str) and text for text in stops)
        self._check("stop", right, "a string or a list of strings, none empty")
        allowed = self.constraint is None or isinstance(self.constraint, Constraint)
        self._check("constraint", allowed, "a Constraint, such as Constraint.json_schema(…), or None")
        listed = isinstance(self.tools, Sequence) and not isinstance(self.tools, str)
        self._check("tools", listed, "a list of tools")
        _ = self.offered  # what is wrong with them shows now
        if self.constraint is not None and stops:
            raise InputError(
                f"{setting('stop', self.stop)} could cut off what {setting('constraint')} asks for",
                remedy="give one of them, not both",
            )

    @classmethod
    def of(cls, options: AnswerOptions | dict[str, Any]) -> Self:
        """The settings of keyword arguments.

        Raises:
            InputError: a name that is not known, or a value out of range.
        """
        if unknown := sorted(set(options) - set(AnswerOptions.__annotations__)):
            raise InputError(f"unknown settings {unknown}", remedy=f"known are {sorted(AnswerOptions.__annotations__)}")
        return cls(**options)

    @cached_property
    def offered(self) -> Tools | None:
        """The tools that may be called."""
        return Tools.of(self.tools, self.tool_choice, self.parallel_tool_calls)

    @property
    def stop_strings(self) -> tuple[str, ...]:
        """`stop` as a tuple."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def new_tokens(self, window_tokens: int) -> int:
        """The most tokens to write with a base model of this window."""
        return self.max_new_tokens or max(1, min(DEFAULT_NEW_TOKENS, window_tokens // 4))

    def _check(self, name: str, allowed: bool, limit: str) -> None:
        check_that(allowed, name, getattr(self, name), limit, error=InputError)

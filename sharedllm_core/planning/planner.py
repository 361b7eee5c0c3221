"""`plan`: the formulas put together."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

from ..errors import WindowError, setting
from ..method.checks import check_whole
from ..method.config import SharedLLMConfig
from . import formulas
from .assumptions import assumptions_of
from .machines import Machine
from .results import (
    CachePlan,
    HostedPrices,
    HostedQuestion,
    Memory,
    Plan,
    QuestionPlan,
    ReadingPlan,
    YearPlan,
)
from .shapes import ModelShape
from .trees import TreeCounts, count_all, count_retained

__all__ = ["plan"]


def plan(
    shape: ModelShape,
    method: SharedLLMConfig,
    machine: Machine,
    past_tokens: int,
    *,
    question_tokens: int = 128,
    answer_tokens: int = 128,
    questions_per_day: int,
    prices: HostedPrices | None = None,
    days_per_year: int = 365,
) -> Plan:
    """What answering questions about `past_tokens` of documents takes, computed and not measured.

    Args:
        shape: the base model's.
        method: the numbers of the method.
        machine: that answers.
        past_tokens: of all documents together.
        question_tokens: of the running text: instructions, question, chat.
        answer_tokens: of an answer.
        questions_per_day: asked about these documents.
        prices: of a hosted model to compare with.
        days_per_year: on which so many questions are asked.

    Raises:
        ConfigError: a number that is out of range, or more injection layers than layers.
        WindowError: question and answer are more than the model's window.
    """
    for name, number, at_least in (
        ("past_tokens", past_tokens, 0),
        ("question_tokens", question_tokens, 1),
        ("answer_tokens", answer_tokens, 1),
        ("questions_per_day", questions_per_day, 1),
        ("days_per_year", days_per_year, 1),
    ):
        check_whole(name, number, at_least=at_least)
    method.check_fits(shape.layers)
    _check_window(shape, question_tokens, answer_tokens)
    work = _Work(past_tokens, question_tokens, answer_tokens, shape, method, machine)
    return _plan_of(work, prices, questions_per_day, days_per_year)


def _plan_of(work: "_Work", prices: HostedPrices | None, questions_per_day: int, days_per_year: int) -> Plan:
    shared, full = work.shared_question(), work.full_question()
    hosted = work.hosted_question(prices) if prices else None
    per_year = (questions_per_day, days_per_year)
    shared_busy = work.busy_seconds(work.shared_reading(), shared, questions_per_day)
    shared_kept = days_per_year * work.machine.cost(shared_busy)
    return Plan(
        shape=work.shape,
        method=work.method,
        machine=work.machine,
        prices=prices,
        past_tokens=work.past_tokens,
        num_states=work.retained.num_states,
        question_tokens=work.question_tokens,
        questions_per_day=questions_per_day,
        answer_tokens=work.answer_tokens,
        days_per_year=days_per_year,
        shared_memory=work.shared_memory(),
        full_memory=work.full_memory(),
        shared_reading=work.shared_reading(),
        shared_reading_one_question=work.shared_reading_one_question(),
        full_reading=work.full_reading(),
        cache=work.cache(),
        shared_question=shared,
        full_question=full,
        hosted_question=hosted,
        shared_year=work.year(work.shared_reading(), shared, *per_year, shared_kept),
        full_year=work.year(work.full_reading(), full, *per_year, shared_kept),
        hosted_year=work.hosted_year(hosted, *per_year, shared_kept) if hosted else None,
        assumptions=assumptions_of(work.machine, work.method, prices),
    )


def _check_window(shape: ModelShape, question_tokens: int, answer_tokens: int) -> None:
    if question_tokens + answer_tokens > shape.window_tokens:
        raise WindowError(
            f"{setting('question_tokens', question_tokens)} and {setting('answer_tokens', answer_tokens)} are more "
            f"than the model's window of {shape.window_tokens} tokens",
            remedy="make one of them smaller (documents count as past tokens and not here)",
        )


@dataclass(frozen=True)
class _Work:
    """One question about some documents on one machine, and the formulas that belong to it."""

    past_tokens: int
    question_tokens: int
    answer_tokens: int
    shape: ModelShape
    method: SharedLLMConfig
    machine: Machine

    @cached_property
    def retained(self) -> TreeCounts:
        """The tree nodes that one question retains."""
        return count_retained(self.past_tokens, self.method)

    @cached_property
    def all(self) -> TreeCounts:
        """All tree nodes."""
        return count_all(self.past_tokens, self.method)

    @property
    def states_bytes(self) -> int:
        """Bytes of the retained states."""
        return formulas.state_bytes(self.shape, self.method, self.retained.num_states)

    @property
    def injection_bytes(self) -> int:
        """Bytes of the injection's parameters."""
        return self.shape.injection_parameters(self.method.injection_layers) * self.shape.bytes_per_parameter

    @property
    def read_bytes(self) -> int:
        """Bytes of the parameters that one forward pass reads."""
        return self.shape.parameters_read * self.shape.bytes_per_parameter

    # ---------------------------------------------------------------------------------------------- memory

    def shared_memory(self) -> Memory:
        """Weights, injection, the states of one question, and keys and values of the running text."""
        return self._memory(self.injection_bytes, self.states_bytes, window_tokens=0)

    def full_memory(self) -> Memory:
        """Weights, and keys and values of everything."""
        return self._memory(0, formulas.kv_bytes(self.shape, self.past_tokens), window_tokens=self.past_tokens)

    def _memory(self, injection_bytes: int, past_bytes: int, *, window_tokens: int) -> Memory:
        running_text_tokens = self.question_tokens + self.answer_tokens
        weights = self.shape.parameters * self.shape.bytes_per_parameter
        running_text = formulas.kv_bytes(self.shape, running_text_tokens)
        total = weights + injection_bytes + past_bytes + running_text
        return Memory(
            weight_bytes=weights,
            injection_bytes=injection_bytes,
            past_bytes=past_bytes,
            running_text_bytes=running_text,
            total_bytes=total,
            fits_memory=self.machine.holds(total),
            window_tokens_used=window_tokens + running_text_tokens,
            fits_window=window_tokens + running_text_tokens <= self.shape.window_tokens,
        )

    # ---------------------------------------------------------------------------------------------- reading

    def shared_reading(self) -> ReadingPlan:
        """Every node of every chunk."""
        return self._lower_model(self.all)

    def shared_reading_one_question(self) -> ReadingPlan:
        """Selection vectors of the halves that are compared, and the retained nodes."""
        return self._lower_model(self.retained)

    def _lower_model(self, counts: TreeCounts) -> ReadingPlan:
        operations = formulas.lower_model_operations(self.shape, self.method, counts)
        moved = formulas.cache_bytes(self.shape, self.method, counts)
        moved += formulas.lower_weight_bytes(self.shape, self.method) if counts.num_nodes else 0
        seconds = self.machine.seconds(operations, moved)
        return ReadingPlan(num_nodes=counts.num_nodes, operations=operations, seconds=seconds)

    def full_reading(self) -> ReadingPlan:
        """Full attention over the documents alone."""
        if not self.past_tokens:
            return ReadingPlan(num_nodes=0, operations=0, seconds=0.0)
        operations = formulas.prefill_operations(self.shape, self.past_tokens)
        moved = self.read_bytes + formulas.kv_bytes(self.shape, self.past_tokens)
        return ReadingPlan(num_nodes=0, operations=operations, seconds=self.machine.seconds(operations, moved))

    def cache(self) -> CachePlan:
        """All nodes and selection vectors, as the tree cache keeps them."""
        num_bytes = formulas.cache_bytes(self.shape, self.method, self.all)
        return CachePlan(
            num_states=self.all.num_states,
            num_vectors=self.all.num_vectors,
            num_bytes=num_bytes,
            int8_bytes=formulas.int8_cache_bytes(self.shape, self.method, self.all),
            disk_seconds=self.machine.disk_seconds(num_bytes),
        )

    # ---------------------------------------------------------------------------------------------- questions

    def shared_question(self) -> QuestionPlan:
        """Unread: the lower model for this question alone. Read: its states are gathered, one read and one write."""
        reading = self.shared_reading_one_question().seconds
        gathering = self.machine.seconds(0, 2 * self.states_bytes)
        prefill = self._pass_seconds(self.question_tokens, seen=0, states=self.retained.num_states)
        if self.method.compares_vectors:
            vector = formulas.vector_operations(self.shape, self.question_tokens)
            prefill += self.machine.seconds(vector, self.shape.layer_parameters * self.shape.bytes_per_parameter)
        decoding = self._decoding_seconds(seen=0, states=self.retained.num_states)
        disk = self.cache().disk_seconds + gathering + prefill
        return self._question(reading + prefill, gathering + prefill, decoding, disk)

    def full_question(self) -> QuestionPlan:
        """Unread: one prefill of documents and question. Read: keys and values of all documents were kept."""
        unread = self._pass_seconds(self.past_tokens + self.question_tokens, seen=0, states=0)
        read = self._pass_seconds(self.question_tokens, seen=self.past_tokens, states=0)
        return self._question(unread, read, self._decoding_seconds(seen=self.past_tokens, states=0))

    def _pass_seconds(self, tokens: int, *, seen: int, states: int) -> float:
        """One forward pass of `tokens`: weights, states and keys and values are read once."""
        operations = formulas.prefill_operations(self.shape, tokens, seen=seen)
        operations += formulas.injection_operations(self.shape, self.method, tokens, states)
        moved = self.read_bytes + formulas.kv_bytes(self.shape, seen + tokens)
        if states:
            moved += self.injection_bytes + formulas.state_bytes(self.shape, self.method, states)
        return self.machine.seconds(operations, moved)

    def _decoding_seconds(self, *, seen: int, states: int) -> float:
        """All tokens after the first, each a pass that looks back as far as the middle one does."""
        passes = self.answer_tokens - 1
        middle = seen + self.question_tokens + max(0, passes - 1) // 2
        return passes * self._pass_seconds(1, seen=middle, states=states)

    def _question(self, unread: float, read: float, decoding: float, disk: float | None = None) -> QuestionPlan:
        return QuestionPlan(
            unread_first_token_seconds=unread,
            unread_total_seconds=unread + decoding,
            unread_cost=self.machine.cost(unread + decoding),
            read_first_token_seconds=read,
            read_total_seconds=read + decoding,
            read_cost=self.machine.cost(read + decoding),
            disk_first_token_seconds=disk,
        )

    def hosted_question(self, prices: HostedPrices) -> HostedQuestion:
        """By the token."""
        tokens = (self.past_tokens, self.question_tokens, self.answer_tokens)
        cached = prices.cached
        return HostedQuestion(
            unread_cost=prices.question(*tokens, past_price=prices.input),
            read_cost=None if cached is None else prices.question(*tokens, past_price=cached),
        )

    # ---------------------------------------------------------------------------------------------- years

    def busy_seconds(self, reading: ReadingPlan, question: QuestionPlan, questions_per_day: int) -> float:
        """A day: documents are read once, and then all questions find them read."""
        return reading.seconds + questions_per_day * question.read_total_seconds

    def year(
        self,
        reading: ReadingPlan,
        question: QuestionPlan,
        questions_per_day: int,
        days_per_year: int,
        shared_kept: float,
    ) -> YearPlan:
        """A year on a machine of one's own, by the seconds that it is busy, and rented day and night."""
        busy = self.busy_seconds(reading, question, questions_per_day)
        reread = days_per_year * questions_per_day * question.unread_cost
        kept = days_per_year * self.machine.cost(busy)
        machines = max(1, ceil(busy / 86400))
        return YearPlan(
            reread_cost=reread,
            kept_cost=kept,
            kept_busy_hours_per_day=busy / 3600,
            rented_cost=machines * days_per_year * self.machine.cost(86400),
            reread_saving=reread - shared_kept,
            kept_saving=kept - shared_kept,
        )

    def hosted_year(
        self, question: HostedQuestion, questions_per_day: int, days_per_year: int, shared_kept: float
    ) -> YearPlan:
        """A year of a hosted model; with a price for cached input, the first question of a day fills the cache."""
        reread = days_per_year * questions_per_day * question.unread_cost
        kept = None
        if question.read_cost is not None:
            kept = days_per_year * (question.unread_cost + (questions_per_day - 1) * question.read_cost)
        return YearPlan(
            reread_cost=reread,
            kept_cost=kept,
            reread_saving=reread - shared_kept,
            kept_saving=None if kept is None else kept - shared_kept,
        )

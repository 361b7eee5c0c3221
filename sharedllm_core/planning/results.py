"""What a plan says, section by section. Bytes, seconds and USD, computed and not measured."""

from dataclasses import asdict, dataclass
from typing import Any

from ..method.checks import check_number
from ..method.config import SharedLLMConfig
from .machines import Machine
from .shapes import ModelShape

__all__ = [
    "Assumptions",
    "CachePlan",
    "HostedPrices",
    "HostedQuestion",
    "Memory",
    "Plan",
    "QuestionPlan",
    "ReadingPlan",
    "YearPlan",
]

Assumptions = tuple[str, ...]

_MILLION = 1e6


@dataclass(frozen=True, kw_only=True)
class HostedPrices:
    """What a hosted model costs, USD per million tokens.

    Attributes:
        input: tokens that are sent.
        output: tokens that are answered.
        cached: tokens that were sent before, where the host gives a price for them.

    Raises:
        ConfigError: a price that is negative or no number.
    """

    input: float
    output: float
    cached: float | None = None

    def __post_init__(self) -> None:
        check_number("input", self.input, at_least=0)
        check_number("output", self.output, at_least=0)
        if self.cached is not None:
            check_number("cached", self.cached, at_least=0)

    def question(self, past_tokens: int, question_tokens: int, answer_tokens: int, *, past_price: float) -> float:
        """USD for one question: the documents at `past_price`, the question as input, the answer as output."""
        sent = past_tokens * past_price + question_tokens * self.input
        return (sent + answer_tokens * self.output) / _MILLION


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What lies in memory while one question is answered, in bytes.

    Attributes:
        weight_bytes: of the base model.
        injection_bytes: of the injection's weights.
        past_bytes: of the documents: retained states, or for full attention keys and values of all tokens.
        running_text_bytes: keys and values of question and answer, in all layers.
        total_bytes: their sum.
        fits_memory: whether the machine's memory holds it.
        window_tokens_used: tokens that stand in the model's window.
        fits_window: whether the model's positions reach so far.
    """

    weight_bytes: int
    injection_bytes: int
    past_bytes: int
    running_text_bytes: int
    total_bytes: int
    fits_memory: bool
    window_tokens_used: int
    fits_window: bool


@dataclass(frozen=True, kw_only=True)
class ReadingPlan:
    """Reading the documents.

    Attributes:
        num_nodes: nodes that are run through the lower model; 0 for full attention.
        operations: multiplications and additions.
        seconds: on the machine.
    """

    num_nodes: int
    operations: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class CachePlan:
    """The trees of all chunks in the tree cache.

    Attributes:
        num_states: of all nodes, in each injection layer.
        num_vectors: selection vectors.
        num_bytes: in the model's dtype.
        int8_bytes: with states of one byte per number.
        disk_seconds: to read `num_bytes` from disk.
    """

    num_states: int
    num_vectors: int
    num_bytes: int
    int8_bytes: int
    disk_seconds: float


@dataclass(frozen=True, kw_only=True)
class QuestionPlan:
    """One question on a machine of one's own. *Unread*: its documents are read for it. *Read*: they were kept.

    Attributes:
        unread_first_token_seconds: until the first token of the answer.
        unread_total_seconds: until its last token.
        unread_cost: USD.
        read_first_token_seconds: as above, with documents that were read before.
        read_total_seconds: likewise.
        read_cost: likewise.
        disk_first_token_seconds: with trees that are on disk; `None` for full attention.
    """

    unread_first_token_seconds: float
    unread_total_seconds: float
    unread_cost: float
    read_first_token_seconds: float
    read_total_seconds: float
    read_cost: float
    disk_first_token_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class HostedQuestion:
    """One question to a hosted model, USD: documents sent anew, and documents that the host has cached."""

    unread_cost: float
    read_cost: float | None


@dataclass(frozen=True, kw_only=True)
class YearPlan:
    """A year of one way to answer, USD.

    Attributes:
        reread_cost: documents are read, or sent, for every question.
        kept_cost: they are read once a day and kept; `None` where a host has no price for that.
        kept_busy_hours_per_day: of the machine, when they are kept.
        rented_cost: as many machines as that keeps busy, rented day and night.
        reread_saving: what SharedLLM with kept documents saves against `reread_cost`; negative where it costs more.
        kept_saving: likewise against `kept_cost`.
    """

    reread_cost: float
    kept_cost: float | None
    kept_busy_hours_per_day: float | None = None
    rented_cost: float | None = None
    reread_saving: float
    kept_saving: float | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What it takes to answer questions about documents: with SharedLLM, with full attention, and hosted.

    Attributes:
        shape: the base model's.
        method: the numbers of the method.
        machine: that answers.
        past_tokens: of the documents.
        question_tokens: of the running text.
        answer_tokens: of an answer.
        questions_per_day: asked about these documents.
        days_per_year: on which they are asked.
        prices: of the hosted model, if any.
        num_states: injected per question, in each injection layer.
        shared_memory: of SharedLLM.
        full_memory: of full attention.
        shared_reading: every node of every chunk, once for all questions.
        shared_reading_one_question: selection vectors and retained nodes of one question.
        full_reading: full attention over the documents.
        cache: the trees.
        shared_question: one question to SharedLLM.
        full_question: one question to full attention.
        hosted_question: one question to the hosted model; `None` without prices.
        shared_year: a year of SharedLLM.
        full_year: a year of full attention.
        hosted_year: a year of the hosted model; `None` without prices.
        assumptions: what all this rests on, in sentences.
    """

    shape: ModelShape
    method: SharedLLMConfig
    machine: Machine
    past_tokens: int
    question_tokens: int
    answer_tokens: int
    questions_per_day: int
    days_per_year: int
    prices: HostedPrices | None
    num_states: int
    shared_memory: Memory
    full_memory: Memory
    shared_reading: ReadingPlan
    shared_reading_one_question: ReadingPlan
    full_reading: ReadingPlan
    cache: CachePlan
    shared_question: QuestionPlan
    full_question: QuestionPlan
    hosted_question: HostedQuestion | None
    shared_year: YearPlan
    full_year: YearPlan
    hosted_year: YearPlan | None
    assumptions: Assumptions

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

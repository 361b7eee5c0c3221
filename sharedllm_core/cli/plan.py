"""`plan`: what SharedLLM costs for a model, a number of tokens and of questions, beside the alternatives."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import typer

from ..errors import ConfigError
from ..method.config import SharedLLMConfig, known_policies
from ..planning import MACHINES, MODELS, HostedPrices, Machine, ModelShape, bytes_of_dtype, read_model
from ..planning import plan as make_plan
from .option_groups import takes_option_groups
from .options import PrintOptions

__all__ = ["plan"]


@dataclass(frozen=True)
class MachineOptions:
    """The machine that answers."""

    machine: Annotated[str, typer.Option(metavar="NAME", help=f"One of {', '.join(MACHINES)}.")] = "h100"
    machine_price_per_hour: Annotated[
        float | None, typer.Option(metavar="USD", help="USD; an assumption is made where none is given.")
    ] = None


@dataclass(frozen=True)
class WorkloadOptions:
    """Size of a question and its answer, and days of use."""

    question_tokens: Annotated[int, typer.Option(metavar="N", help="Tokens of instructions, question and chat.")] = 128
    answer_tokens: Annotated[int, typer.Option(metavar="N", help="Tokens of an answer.")] = 128
    days_per_year: Annotated[int, typer.Option(metavar="N", help="Days on which questions are asked.")] = 365


@dataclass(frozen=True)
class MethodOptions:
    """Numbers of the method that differ from the model's."""

    injection_layers: Annotated[
        int | None, typer.Option(metavar="N", help="M; by default the checkpoint's, or the paper's half of all layers.")
    ] = None
    compression_ratio: Annotated[float | None, typer.Option(metavar="X", help="Past tokens per retained state.")] = None
    chunk_tokens: Annotated[int | None, typer.Option(metavar="N", help="Tokens in a chunk.")] = None
    tree_depth: Annotated[int | None, typer.Option(metavar="N", help="Levels below the chunk.")] = None
    policy: Annotated[str | None, typer.Option(metavar="NAME", help=f"One of {', '.join(known_policies())}.")] = None

    def method(self, shape: ModelShape, own: SharedLLMConfig | None) -> SharedLLMConfig:
        """The checkpoint's own method, or the paper's for the model's shape, with these changes."""
        changes = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(own, **changes) if own else SharedLLMConfig.instruction(shape.layers, **changes)


@dataclass(frozen=True)
class PriceOptions:
    """Prices of a hosted model."""

    price_in: Annotated[
        float | None,
        typer.Option(
            metavar="USD",
            help="USD per million input tokens of a hosted model. No vendor is assumed: without it and "
            "--price-out there is no hosted column.",
        ),
    ] = None
    price_out: Annotated[float | None, typer.Option(metavar="USD", help="USD per million output tokens.")] = None
    price_cached: Annotated[
        float | None, typer.Option(metavar="USD", help="USD per million input tokens that the host has cached.")
    ] = None

    def prices(self) -> HostedPrices | None:
        """The prices, or `None` where there are none.

        Raises:
            ConfigError: some of the prices are missing.
        """
        if self.price_in is None and self.price_out is None and self.price_cached is None:
            return None
        if self.price_in is None or self.price_out is None:
            missing = "--price-in" if self.price_in is None else "--price-out"
            raise ConfigError(
                f"a hosted model was given no {missing}",
                remedy="give both --price-in and --price-out, or no price at all",
            )
        return HostedPrices(input=self.price_in, output=self.price_out, cached=self.price_cached)


@takes_option_groups()
def plan(
    model: Annotated[str, typer.Option(metavar="NAME", help=f"A checkpoint's folder, or one of {', '.join(MODELS)}.")],
    tokens: Annotated[int, typer.Option(metavar="N", help="Tokens of all documents together.")],
    questions_per_day: Annotated[int, typer.Option(metavar="N", help="Questions asked about them.")],
    *,
    machine: MachineOptions,
    dtype: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of weights and states; the model's own by default.")
    ] = None,
    workload: WorkloadOptions,
    method: MethodOptions,
    prices: PriceOptions,
    printing: PrintOptions,
) -> None:
    """Compute memory, time and cost beside full attention.

    And, where prices are given, beside a hosted model. Computed, not measured, with all assumptions said.
    """
    shape, own_method = read_model(model)
    if dtype is not None:
        shape = replace(shape, bytes_per_parameter=bytes_of_dtype(dtype))
    made = make_plan(
        shape,
        method.method(shape, own_method),
        Machine.named(machine.machine, machine.machine_price_per_hour),
        tokens,
        questions_per_day=questions_per_day,
        prices=prices.prices(),
        **asdict(workload),
    )
    if printing.as_json:
        typer.echo(json.dumps({"model": model} | made.to_dict(), indent=2))
    else:
        from .plan_table import print_plan

        print_plan(model, made)

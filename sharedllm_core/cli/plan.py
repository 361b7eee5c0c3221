"""`plan`: what SharedLLM costs for a model, a number of tokens and of questions, beside the alternatives."""

import json
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ..errors import ConfigError
from ..method.config import SharedLLMConfig, known_policies
from ..planning import MACHINES, MODELS, HostedPrices, Machine, ModelShape, Plan, bytes_of_dtype, read_model
from ..planning import plan as make_plan
from . import options

__all__ = ["plan"]

_COLUMNS = 80
_NOTHING = "–"


def plan(
    model: Annotated[str, typer.Option(metavar="NAME", help=f"A checkpoint's folder, or one of {', '.join(MODELS)}.")],
    tokens: Annotated[int, typer.Option(metavar="N", help="Tokens of all documents together.")],
    questions_per_day: Annotated[int, typer.Option(metavar="N", help="Questions asked about them.")],
    machine: Annotated[str, typer.Option(metavar="NAME", help=f"One of {', '.join(MACHINES)}.")] = "h100",
    machine_price_per_hour: Annotated[
        float | None, typer.Option(metavar="USD", help="USD; an assumption is made where none is given.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of weights and states; the model's own by default.")
    ] = None,
    question_tokens: Annotated[int, typer.Option(metavar="N", help="Tokens of instructions, question and chat.")] = 128,
    answer_tokens: Annotated[int, typer.Option(metavar="N", help="Tokens of an answer.")] = 128,
    days_per_year: Annotated[int, typer.Option(metavar="N", help="Days on which questions are asked.")] = 365,
    injection_layers: Annotated[
        int | None, typer.Option(metavar="N", help="M; by default the checkpoint's, or the paper's half of all layers.")
    ] = None,
    compression_ratio: Annotated[
        float | None, typer.Option(metavar="X", help="Past tokens per retained state.")
    ] = None,
    chunk_tokens: Annotated[int | None, typer.Option(metavar="N", help="Tokens in a chunk.")] = None,
    tree_depth: Annotated[int | None, typer.Option(metavar="N", help="Levels below the chunk.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="NAME", help=f"One of {', '.join(known_policies())}.")] = None,
    price_in: Annotated[
        float | None,
        typer.Option(
            metavar="USD",
            help="USD per million input tokens of a hosted model. No vendor is assumed: without it and "
            "--price-out there is no hosted column.",
        ),
    ] = None,
    price_out: Annotated[float | None, typer.Option(metavar="USD", help="USD per million output tokens.")] = None,
    price_cached: Annotated[
        float | None, typer.Option(metavar="USD", help="USD per million input tokens that the host has cached.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")] = False,
    debug: options.Debug = False,
) -> None:
    """Compute memory, time and cost beside full attention.

    And, where prices are given, beside a hosted model. Computed, not measured, with all assumptions said.
    """
    shape, method = read_model(model)
    if dtype is not None:
        shape = replace(shape, bytes_per_parameter=bytes_of_dtype(dtype))
    made = make_plan(
        shape,
        _method(
            shape,
            method,
            injection_layers=injection_layers,
            compression_ratio=compression_ratio,
            chunk_tokens=chunk_tokens,
            tree_depth=tree_depth,
            policy=policy,
        ),
        Machine.named(machine, machine_price_per_hour),
        tokens,
        question_tokens=question_tokens,
        answer_tokens=answer_tokens,
        questions_per_day=questions_per_day,
        prices=_prices(price_in, price_out, price_cached),
        days_per_year=days_per_year,
    )
    if as_json:
        typer.echo(json.dumps({"model": model} | made.to_dict(), indent=2))
    else:
        _print(model, made)


def _method(shape: ModelShape, method: SharedLLMConfig | None, **changes: Any) -> SharedLLMConfig:
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(method, **given) if method else SharedLLMConfig.instruction(shape.layers, **given)


def _prices(price_in: float | None, price_out: float | None, price_cached: float | None) -> HostedPrices | None:
    if price_in is None and price_out is None and price_cached is None:
        return None
    if price_in is None or price_out is None:
        missing = "--price-in" if price_in is None else "--price-out"
        raise ConfigError(
            f"a hosted model was given no {missing}; give both --price-in and --price-out, or no price at all"
        )
    return HostedPrices(input=price_in, output=price_out, cached=price_cached)


# -------------------------------------------------------------------------------------------------------- the table


def _print(model: str, plan: Plan) -> None:
    console = Console(width=min(_COLUMNS, Console().width))
    method = plan.method
    console.print(
        f"{model}, {plan.past_tokens:,} tokens of documents, {plan.questions_per_day:,} questions a day, "
        f"{plan.question_tokens:,} + {plan.answer_tokens:,} tokens each, on {plan.machine.name}",
        highlight=False,
        markup=False,
    )
    console.print(
        f"{method.injection_layers} of {plan.shape.layers} layers injected, {method.compression_ratio:g} tokens to a "
        f"state, {plan.num_states:,} states; computed, not measured",
        highlight=False,
        markup=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("", overflow="fold")
    for name in ("SharedLLM", "full attention", *(["hosted"] if plan.prices else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for number, rows in enumerate(_sections(plan)):
        if number:
            table.add_section()
        for label, *cells in rows:
            table.add_row(label, *(cells if plan.prices else cells[:2]))
    console.print(table)
    console.print("Assumptions", style="bold")
    for sentence in plan.assumptions:
        console.print(f"· {sentence}", highlight=False, markup=False)


def _sections(plan: Plan) -> list[list[tuple[str, str, str, str]]]:
    """Rows of label, SharedLLM, full attention and hosted."""
    return [_memory_rows(plan), _reading_rows(plan), _question_rows(plan), _year_rows(plan)]


def _memory_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    shared, full = plan.shared_memory, plan.full_memory
    return [
        ("weights", _size(shared.weight_bytes), _size(full.weight_bytes), _NOTHING),
        ("injection", _size(shared.injection_bytes), _NOTHING, _NOTHING),
        ("states / keys and values", _size(shared.past_bytes), _size(full.past_bytes), _NOTHING),
        ("running text", _size(shared.running_text_bytes), _size(full.running_text_bytes), _NOTHING),
        ("memory in all", _size(shared.total_bytes), _size(full.total_bytes), _NOTHING),
        (f"fits {plan.machine.memory_gb:g} GB", _yes(shared.fits_memory), _yes(full.fits_memory), _NOTHING),
        (
            f"fits window of {plan.shape.window_tokens:,}",
            _yes(shared.fits_window),
            _yes(full.fits_window),
            _NOTHING,
        ),
    ]


def _reading_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    one, cache = plan.shared_reading_one_question, plan.cache
    return [
        ("read, for all questions", _time(plan.shared_reading.seconds), _time(plan.full_reading.seconds), _NOTHING),
        ("read, for one question", _time(one.seconds), _NOTHING, _NOTHING),
        ("kept trees", _size(cache.num_bytes), _NOTHING, _NOTHING),
        ("kept trees, int8", _size(cache.int8_bytes), _NOTHING, _NOTHING),
    ]


def _question_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    shared, full, hosted = plan.shared_question, plan.full_question, plan.hosted_question
    disk = shared.disk_first_token_seconds
    return [
        (
            "first token, unread",
            _time(shared.unread_first_token_seconds),
            _time(full.unread_first_token_seconds),
            _NOTHING,
        ),
        ("first token, trees on disk", _time(disk), _NOTHING, _NOTHING),
        ("first token, read", _time(shared.read_first_token_seconds), _time(full.read_first_token_seconds), _NOTHING),
        ("whole answer, unread", _time(shared.unread_total_seconds), _time(full.unread_total_seconds), _NOTHING),
        ("whole answer, read", _time(shared.read_total_seconds), _time(full.read_total_seconds), _NOTHING),
        (
            "cost, unread",
            _money(shared.unread_cost),
            _money(full.unread_cost),
            _money(hosted.unread_cost if hosted else None),
        ),
        ("cost, read", _money(shared.read_cost), _money(full.read_cost), _money(hosted.read_cost if hosted else None)),
    ]


def _year_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    years = (plan.shared_year, plan.full_year, plan.hosted_year)

    def row(label: str, name: str) -> tuple[str, str, str, str]:
        shared, full, hosted = (_money(getattr(year, name) if year else None) for year in years)
        return label, shared, full, hosted

    def saving(label: str, name: str) -> tuple[str, str, str, str]:
        return label, _NOTHING, *row(label, name)[2:]

    busy = [_hours(year.kept_busy_hours_per_day if year else None) for year in years]
    return [
        row("year, read every time", "reread_cost"),
        row("year, read once a day", "kept_cost"),
        saving("saved, of read every time", "reread_saving"),
        saving("saved, of read once a day", "kept_saving"),
        ("busy per day, read once", busy[0], busy[1], busy[2]),
        row("year, rented day and night", "rented_cost"),
    ]


# -------------------------------------------------------------------------------------------------------- units


def _size(num_bytes: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes:.0f} B"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    if seconds >= 7200:
        return f"{seconds / 3600:,.1f} h"
    if seconds >= 1:
        return f"{seconds:,.1f} s"
    return f"{seconds * 1000:.3g} ms"


def _hours(hours: float | None) -> str:
    return _NOTHING if hours is None else _time(hours * 3600)


def _money(usd: float | None) -> str:
    if usd is None:
        return _NOTHING
    sign, usd = ("−" if usd < 0 else ""), abs(usd)
    if usd >= 100:
        return f"{sign}${usd:,.0f}"
    if usd >= 0.1 or usd == 0:
        return f"{sign}${usd:.2f}"
    return f"{sign}${usd:.2g}"


def _yes(fits: bool) -> str:
    return "yes" if fits else "no"

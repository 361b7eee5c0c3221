"""The table that `plan` prints: memory, time and cost of each way to answer."""

from rich import box
from rich.console import Console
from rich.table import Table

from ..planning import Plan

__all__ = ["print_plan"]

_COLUMNS = 80
_LABEL_COLUMNS = 20  # labels are folded below their full width
_GAP = 3  # columns between two cells
_NOTHING = "–"


def print_plan(model: str, plan: Plan) -> None:
    """Print what the plan is of, a table with a column for each way to answer, and the assumptions."""
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
    names = _names_that_fit(["SharedLLM", "full attention", *(["hosted"] if plan.prices else [])], console.width)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for number, rows in enumerate(_sections(plan)):
        if number:
            table.add_section()
        for label, *cells in rows:
            table.add_row(label, *cells[: len(names)])
    console.print(table)
    console.print("Assumptions", style="bold")
    for sentence in plan.assumptions:
        console.print(f"· {sentence}", highlight=False, markup=False)


def _names_that_fit(names: list[str], width: int) -> list[str]:
    """The columns that fit beside the labels; the first one is always shown."""
    fitting = list(names)
    while len(fitting) > 1 and _LABEL_COLUMNS + sum(len(name) + _GAP for name in fitting) > width:
        fitting.pop()
    return fitting


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


# ---------------------------------------------------------------------------------------------------------- units


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

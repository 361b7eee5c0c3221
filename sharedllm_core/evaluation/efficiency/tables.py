"""Tables and plots of what `measure` returned."""

from pathlib import Path
from typing import Any

from ..plots import check_matplotlib

__all__ = ["tables", "write_plots"]

_Row = dict[str, Any]
_TITLES = {
    "unread": "first token, unread (s)",
    "warm": "first token, from memory (s)",
    "from_disk": "first token, from disk (s)",
    "decode": "a decoded token (s)",
    "peak_bytes": "peak above what was held (bytes)",
}


def tables(result: dict[str, Any]) -> str:
    """Two Markdown tables, lengths down.

    The first has what was measured, or why it was not; the second how near it comes to what the hardware allows.
    """
    rows = result["rows"]
    full = {row["past_tokens"]: row for row in rows if row["system"] == "full attention" and "seconds" in row}
    return f"{_measured(rows, full)}\n\n{_shares(rows)}"


def _measured(rows: list[_Row], full: dict[int, _Row]) -> str:
    lines = [
        "| past tokens | system | unread (s) | full / this | from memory (s) | from disk (s) | reading all (tokens/s) "
        "| decoding (tokens/s) | peak (MB) | states (MB) | trees (MB) | runs |",
        "|" + "---|" * 12,
    ]
    for row in rows:
        name = f"| {row['past_tokens']:,} | {row['system']} "
        if "error" in row:
            lines.append(f"{name}| {row['error']} |" + " |" * 9)
            continue
        if "seconds" not in row:
            lines.append(f"{name}| skipped: {row['skipped']['reason']} |" + " |" * 8 + " 0 |")
            continue
        seconds, other = row["seconds"], full.get(row["past_tokens"])
        cells = [
            _number(seconds["unread"]),
            f"{other['seconds']['unread'] / seconds['unread']:.1f}" if other else "",
            _number(seconds.get("warm")),
            _number(seconds.get("from_disk")),
            f"{row['past_tokens'] / seconds['read']:,.0f}" if "read" in seconds else "",
            f"{1 / seconds['decode']:.1f}",
            *(f"{row[size] / 1e6:,.0f}" if size in row else "" for size in ("peak_bytes", "state_bytes", "tree_bytes")),
            _runs(row),
        ]
        lines.append(f"{name}| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shares(rows: list[_Row]) -> str:
    figures = ("unread", "warm", "from_disk", "read", "decode")
    lines = [
        "| past tokens | system | unread | from memory | from disk | reading all | decoding "
        "| products (GFLOP/s) | memory (GB/s) | disk (GB/s) |",
        "|" + "---|" * 10,
    ]
    for row in rows:
        if "seconds" not in row:
            continue
        floors, seconds, rates = row["floors"], row["seconds"], row["rates"]
        cells = [f"{floors[f] / seconds[f]:.0%}" if f in floors and f in seconds else "" for f in figures]
        cells += [f"{rates[name] / 1e9:,.1f}" for name in ("operations_per_s", "bytes_per_s", "disk_bytes_per_s")]
        lines.append(f"| {row['past_tokens']:,} | {row['system']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _runs(row: _Row) -> str:
    """The turns that were measured and, if a budget left out some, of how many."""
    return f"{row['runs']} of {row['runs'] + row['skipped']['turns']}" if "skipped" in row else str(row["runs"])


def _number(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.2f}" if seconds >= 1 else f"{seconds:.3f}"


def write_plots(result: dict[str, Any], folder: Path) -> list[Path]:
    """A PNG for each figure by length, both axes logarithmic, one line for each system.

    Returns:
        The files.

    Raises:
        ImportError: matplotlib is missing.
    """
    figure = check_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, title in _TITLES.items():
        points = [
            (row["system"], row["past_tokens"], value)
            for row in result["rows"]
            if "seconds" in row and (value := row["seconds"].get(name, row.get(name))) is not None
        ]
        if points:
            files.append(folder / f"efficiency_{name}.png")
            _plot(figure, points, title, files[-1])
    return files


def _plot(figure: Any, points: list[tuple[str, int, float]], title: str, path: Path) -> None:
    fig = figure(figsize=(7, 4.5), layout="constrained")
    axes = fig.subplots()
    for system in dict.fromkeys(name for name, _, _ in points):
        own = sorted((length, value) for name, length, value in points if name == system)
        axes.plot(*zip(*own, strict=True), marker="o", label=system)
    ticks = sorted({length for _, length, _ in points})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ticks, [f"{tick / 1024:g}K" if tick % 1024 == 0 else f"{tick:,}" for tick in ticks])
    axes.set_xlabel("tokens of past context")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    fig.savefig(path, dpi=120)

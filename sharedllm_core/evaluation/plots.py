"""PNG plots of results: perplexity by length, the needle's heat map, accuracy by length."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["check_matplotlib", "write_plots"]

_Result = Mapping[str, Any]


def check_matplotlib() -> Any:
    """The class of figures.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'sharedllm[eval]'") from error
    return Figure


def write_plots(results: Sequence[_Result], folder: Path) -> list[Path]:
    """Write the plots for which there are results.

    Args:
        results: see `report.results_of`.
        folder: of the files.

    Returns:
        The files.

    Raises:
        ImportError: matplotlib is missing.
    """
    figure = check_matplotlib()
    by_length = [r for r in results if set(r["by"]) == {"length"} and r["mean"] is not None]
    by_length = [r for r in by_length if isinstance(r["by"]["length"], int | float)]
    files = []
    for measurement, metric in dict.fromkeys((r["measurement"], r["metric"]) for r in by_length):
        chosen = [r for r in by_length if (r["measurement"], r["metric"]) == (measurement, metric)]
        name = "perplexity" if metric == "loss" else metric
        title = name if measurement == name else f"{measurement}: {name}"
        files.append(folder / f"{_file_name(measurement if measurement == name else f'{measurement}_{name}')}.png")
        _lines(figure, chosen, title, name, files[-1])
    maps = [r for r in results if set(r["by"]) == {"length", "depth"} and r["mean"] is not None]
    for measurement, metric, system in dict.fromkeys((r["measurement"], r["metric"], r["system"]) for r in maps):
        chosen = [r for r in maps if (r["measurement"], r["metric"], r["system"]) == (measurement, metric, system)]
        files.append(folder / f"{_file_name(f'{measurement}_{metric}_by_depth_{system}')}.png")
        _heat_map(figure, chosen, f"{measurement}: {metric}, {system}", files[-1])
    return files


def _lines(figure: Any, results: Sequence[_Result], title: str, metric: str, path: Path) -> None:
    fig = figure(figsize=(7, 4.5), layout="constrained")
    axes = fig.subplots()
    for system in dict.fromkeys(result["system"] for result in results):
        own = sorted((r for r in results if r["system"] == system), key=lambda r: r["by"]["length"])
        lengths, means = [r["by"]["length"] for r in own], [r["mean"] for r in own]
        spread = [[r["mean"] - r["low"] for r in own], [r["high"] - r["mean"] for r in own]]
        axes.errorbar(
            lengths, means, yerr=[[max(0.0, s) for s in side] for side in spread], marker="o", capsize=3, label=system
        )
    ticks = sorted({result["by"]["length"] for result in results})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick / 1024:g}K" if tick % 1024 == 0 else f"{tick:,}" for tick in ticks])
    axes.set_xlabel("tokens")
    axes.set_ylabel(metric)
    axes.set_title(title)
    if metric != "perplexity":
        axes.set_ylim(-0.03, 1.03)
    axes.grid(alpha=0.3)
    axes.legend()
    fig.savefig(path, dpi=120)


def _heat_map(figure: Any, results: Sequence[_Result], title: str, path: Path) -> None:
    lengths = sorted({result["by"]["length"] for result in results})
    depths = sorted({result["by"]["depth"] for result in results})
    means = {(r["by"]["depth"], r["by"]["length"]): r["mean"] for r in results}
    grid = [[means.get((depth, length), float("nan")) for length in lengths] for depth in depths]
    fig = figure(figsize=(1.5 + len(lengths), 1.5 + 0.6 * len(depths)), layout="constrained")
    axes = fig.subplots()
    image = axes.imshow(grid, vmin=0, vmax=1, cmap="RdYlGn", aspect="auto")
    for row, values in enumerate(grid):
        for column, value in enumerate(values):
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths])
    axes.set_yticks(range(len(depths)), [f"{depth:.0%}" for depth in depths])
    axes.set_xlabel("tokens")
    axes.set_ylabel("depth")
    axes.set_title(title)
    fig.colorbar(image)
    fig.savefig(path, dpi=120)


def _file_name(text: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in text.lower())

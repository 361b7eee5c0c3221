"""From scored items to `results.json`, `results.md` and plots."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .intervals import interval
from .plots import write_plots
from .result_folder import replace_file
from .run import read_rows

__all__ = ["markdown", "results_of", "shown", "write_report"]

_COLUMN = "length"


def write_report(folder: Path, *, plots: bool = True) -> dict[str, Any]:
    """Write `results.json`, `results.md` and, if wanted, PNG plots into a folder with scored items.

    Returns:
        What is in `results.json`.

    Raises:
        ImportError: plots are wanted, and matplotlib is missing; the other files are written before.
    """
    settings = folder / "settings.json"
    found = {
        "settings": json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {},
        "results": results_of(read_rows(folder)),
    }
    replace_file(folder / "results.json", json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    replace_file(folder / "results.md", markdown(found["results"]))
    if plots:
        write_plots(found["results"], folder)
    return found


def results_of(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means by measurement, system and metric: over all, by each label, and by length and each other label.

    Each is {measurement, system, metric, by, mean, low, high, count, errors}; `mean` is None where nothing could be
    scored, and `errors` counts the items of each error. The mean of `loss` is the perplexity, e to the mean loss.
    """
    values: dict[tuple[Any, ...], list[float]] = {}
    errors: dict[tuple[Any, ...], dict[str, int]] = {}
    metrics: dict[str, dict[str, None]] = {}
    failed: list[Mapping[str, Any]] = []
    for row in rows:
        if "error" in row:
            failed.append(row)
        for result in row.get("results", ()):
            for metric, value in result["scores"].items():
                metrics.setdefault(row["measurement"], {})[metric] = None
                for by in _groups(result["labels"]):
                    values.setdefault((row["measurement"], row["system"], metric, by), []).append(value)
    for row in failed:
        for metric in metrics.get(row["measurement"], {"score": None}):
            for by in _groups(row["labels"]):
                counts = errors.setdefault((row["measurement"], row["system"], metric, by), {})
                counts[row["error"]] = counts.get(row["error"], 0) + 1
    return [
        _summary(key, values.get(key, []), errors.get(key, {}))
        for key in sorted({*values, *errors}, key=lambda key: (*key[:3], len(key[3]), _sortable(key[3])))
    ]


def _groups(labels: Mapping[str, Any]) -> list[tuple[tuple[str, Any], ...]]:
    column = [(_COLUMN, labels[_COLUMN])] if _COLUMN in labels else []
    others = [(name, value) for name, value in labels.items() if name != _COLUMN]
    groups = [(), tuple(column), *((other,) for other in others), *((*column, other) for other in others)]
    return list(dict.fromkeys(groups))


def _summary(key: tuple[Any, ...], values: Sequence[float], errors: Mapping[str, int]) -> dict[str, Any]:
    measurement, system, metric, by = key
    mean, low, high = None, None, None
    if values:
        mean = math.fsum(values) / len(values)
        low, high = interval(values)
        if metric == "loss":
            mean, low, high = (math.exp(min(value, 700.0)) for value in (mean, low, high))
    return {
        "measurement": measurement,
        "system": system,
        "metric": metric,
        "by": dict(by),
        "mean": mean,
        "low": low,
        "high": high,
        "count": len(values),
        "errors": dict(sorted(errors.items())),
    }


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Tables with systems down and lengths across, one for each metric, and one for each further label."""
    parts = ["# Results", "Means with their 95 % interval and, after n, the number of scored questions or texts."]
    for measurement in dict.fromkeys(result["measurement"] for result in results):
        own = [result for result in results if result["measurement"] == measurement]
        parts.append(f"## {measurement}")
        for metric in dict.fromkeys(result["metric"] for result in own):
            name = "perplexity" if metric == "loss" else metric
            of_metric = [result for result in own if result["metric"] == metric]
            for label in _labels(of_metric):
                parts += [f"### {name}{f' by {label}' if label else ''}", _table(of_metric, label)]
    return "\n\n".join(parts) + "\n"


def _labels(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Labels that have a table of their own; the empty one is for the systems alone."""
    names = dict.fromkeys(name for result in results for name in result["by"] if name != _COLUMN)
    return ["", *names]


def _table(results: Sequence[Mapping[str, Any]], label: str) -> str:
    cells: dict[tuple[Any, ...], dict[Any, str]] = {}
    for result in results:
        by = dict(result["by"])
        column = by.pop(_COLUMN, None)
        if set(by) == ({label} if label else set()):
            cells.setdefault((result["system"], *by.values()), {})[column] = shown(result)
    columns = sorted({column for row in cells.values() for column in row if column is not None}, key=_number_first)
    names = [f"{column:,}" if isinstance(column, int) else str(column) for column in columns]
    head = ["system", *([label] if label else []), *names, "all"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row, found in cells.items():
        texts = [*map(str, row), *(found.get(column, "") for column in columns), found.get(None, "")]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def shown(result: Mapping[str, Any]) -> str:
    """A result as a table's cell."""
    errors = ", ".join(error if result["mean"] is None else f"{n} {error}" for error, n in result["errors"].items())
    if result["mean"] is None:
        return errors
    text = f"{result['mean']:.3f} [{result['low']:.3f}, {result['high']:.3f}] n={result['count']}"
    return f"{text} ({errors})" if errors else text


def _number_first(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, int | float)
    return not is_number, value if is_number else 0.0, str(value)


def _sortable(by: Sequence[tuple[str, Any]]) -> list[Any]:
    return [(name, _number_first(value)) for name, value in sorted(by, key=lambda pair: pair[0] == _COLUMN)]

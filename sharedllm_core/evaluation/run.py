"""Runs measurements on systems. Each scored item is a line on disk at once, so that an interrupted run goes on."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from .. import DeviceMemoryError, InputError, WindowError
from .measurement import Item, Measurement
from .result_folder import keep_settings, read_json_lines
from .settings import EvaluationSettings
from .system import System

__all__ = ["BEYOND_THE_WINDOW", "OUT_OF_MEMORY", "read_rows", "run"]

OUT_OF_MEMORY = "out of memory"
BEYOND_THE_WINDOW = "beyond the window"

_ITEMS = "items.jsonl"
_SETTINGS = "settings.json"
_KEY = ("measurement", "system", "item")


def run(
    measurements: Sequence[Measurement],
    systems: Sequence[System],
    settings: EvaluationSettings,
    folder: Path,
    *,
    about: dict[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Measure what is not in the folder yet.

    Args:
        measurements: what to measure; a later run may add some.
        systems: of which; a later run may add some. No two have one name.
        settings: which items.
        folder: of the results; made if it is missing.
        about: what else must be the same in all runs of a folder, such as the model.
        progress: receives a line when an item begins, and one with its scores.

    Raises:
        InputError: the folder has results with other settings, or two systems have one name.
        InputError, ConfigError: a measurement cannot make items with these settings; nothing is measured then.
        DocumentError: see `read_rows`.
    """
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise InputError(f"of the systems {names}, two have one name", remedy="give each its own")
    folder.mkdir(parents=True, exist_ok=True)
    keep_settings(folder / _SETTINGS, {"about": about or {}, **settings.described()})
    done = {_key(row) for row in read_rows(folder)}
    for measurement in measurements:
        next(measurement.items(settings), None)  # what cannot be measured is said now, not after hours
    with (folder / _ITEMS).open("a", encoding="utf-8", newline="\n") as file:
        for measurement in measurements:
            chosen = [system for system in systems if measurement.applies_to(system)]
            for item in measurement.items(settings) if chosen else ():
                for system in chosen:
                    if (measurement.name, system.name, item.id) in done:
                        continue
                    if progress:  # reading for one item may take minutes
                        progress(f"{measurement.name}, {item.id}, {system.name} …")
                    row = _measured(measurement, system, item)
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    file.flush()
                    if progress:
                        progress(_said(row))


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The scored items of a folder. A last line that was only half written is taken off the file.

    Raises:
        InputError: another line is damaged.
    """
    return list(read_json_lines(folder / _ITEMS, *_KEY))


def _measured(measurement: Measurement, system: System, item: Item) -> dict[str, Any]:
    row: dict[str, Any] = {
        "measurement": measurement.name,
        "system": system.name,
        "item": item.id,
        "labels": dict(item.labels),
    }
    begin = time.perf_counter()
    try:
        row["results"] = [asdict(result) for result in measurement.measure(system, item)]
    except (DeviceMemoryError, torch.OutOfMemoryError):
        row["error"] = OUT_OF_MEMORY
    except WindowError:
        row["error"] = BEYOND_THE_WINDOW
    return row | {"seconds": round(time.perf_counter() - begin, 3)}


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in _KEY)


def _said(row: dict[str, Any]) -> str:
    scores = [result["scores"] for result in row.get("results", ())]
    values: dict[str, list[float]] = {}
    for name, value in (pair for score in scores for pair in score.items()):
        values.setdefault(name, []).append(value)  # evidence is scored of right answers alone
    outcome = row.get("error") or ", ".join(f"{name} {sum(of) / len(of):.2f}" for name, of in values.items())
    return f"{row['measurement']}, {row['item']}, {row['system']}: {outcome} ({row['seconds']:.1f} s)"

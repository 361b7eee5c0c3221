"""One turn: every system goes through the same steps, one step after the other."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from ...errors import WindowError
from .document_files import TurnFiles
from .system import System

__all__ = ["STEPS", "measure_turn"]

STEPS = ("first question", "second question", "document replaced", "order changed", "new process")


def measure_turn(systems: Sequence[System], files: TurnFiles, questions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Take every system through all steps, one step after the other.

    Args:
        systems: in the order in which they take each step; all are running.
        files: the documents of the turn.
        questions: the first few are asked, another one at each step.

    Returns:
        By the system's name: `FirstToken`s by step, `peak_bytes` and `disk_bytes`; an empty one where the documents do
        not fit the window.
    """
    found: dict[str, dict[str, Any]] = {system.name: {} for system in systems}
    too_long: set[str] = set()
    for number, step in enumerate(STEPS):
        question = questions[number % len(questions)]
        for system in systems:
            if system.name in too_long:
                continue
            try:
                _take_step(system, step, files, question, found[system.name])
            except WindowError as error:
                _say(f"{system.name}: {error}")
                too_long.add(system.name)
                found[system.name].clear()
    return found


def _take_step(system: System, step: str, files: TurnFiles, question: str, found: dict[str, Any]) -> None:
    process = system.processes[0]
    waited = 0.0
    if step == "new process":
        found["peak_bytes"] = process.peak_bytes
        system.close()
        system.start()
        begin = time.perf_counter()
        process.restore()
        waited = time.perf_counter() - begin
    elif step in {"document replaced", "order changed"}:
        process.restore()  # each begins where the second question ended
    paths = {"document replaced": files.replaced, "order changed": files.reordered}.get(step, files.paths)
    found[step] = system.first_token(paths, question).after(waited)
    _say(f"{step}, {system.name}: {found[step]}")
    if step == "second question":
        found["disk_bytes"] = process.save()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

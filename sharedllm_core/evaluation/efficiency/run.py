"""Turns in worker processes, kept as they come, and the result of all."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import SharedLLMError, setting
from ..machine import machine
from .rows import rows_of
from .schedule import Plan, expected_seconds, next_step, seconds_to_go, skipped_turns
from .settings import COMPARED, EfficiencySettings, system_names
from .turns import Step, Turn, TurnFile
from .worker import OUT_OF_MEMORY
from .worker_process import WorkerKilledError, WorkerOverdueError, WorkerProcess

__all__ = ["measure"]


def measure(
    settings: EfficiencySettings,
    progress: Callable[[str], None] = lambda _: None,
    keep: Callable[[dict[str, Any]], None] = lambda _: None,
    *,
    folder: Path | None = None,
    began: float | None = None,
) -> dict[str, Any]:
    """Measure everything that the settings name.

    Args:
        settings: what is measured. With `minutes`, the order is that of `schedule.py`.
        progress: receives a line when the model is loaded, and before and after each turn.
        keep: receives the result so far after each turn.
        folder: where each turn is kept, and from which a run goes on: turns that are there are not measured again.
        began: when the minutes began, as `time.monotonic()` counts; by default now.

    Returns:
        What JSON can hold: `version`, `machine`, `settings`, `seconds` that this run took, and `rows`, one for each
        length and system. A row has `past_tokens`, `system`, and `error` or: `runs`; `seconds`, the medians of each
        figure (`unread`, `read`, `warm`, `from_disk`, and `decode`, of one token), and `all_seconds`; `floors`, the
        least seconds of each on this machine; `peak_bytes` above what was held before, `state_bytes`, `tree_bytes`,
        `weight_bytes`; and `rates`. Where the minutes were too few, `skipped` says how many `turns` were not measured,
        and the `reason`; a row without any turn has nothing else.

    Raises:
        InputError: the folder has turns of other settings, or of another machine.
        SharedLLMError: a measurement failed for another reason than memory.
    """
    file = TurnFile(folder, settings)
    return _Run(settings, progress, file, time.monotonic() if began is None else began).run(keep)


class _Run:
    """One run: the plan, the turns so far, and the process that measures.

    `_plan` is `None` until the names of the systems are known, `_worker` while no process is alive.
    """

    def __init__(
        self, settings: EfficiencySettings, progress: Callable[[str], None], file: TurnFile, began: float
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._file = file
        self._began = began
        self._deadline = None if settings.minutes is None else began + 60 * settings.minutes
        self._machine = machine(settings.device)
        self._worker: WorkerProcess | None = None
        self._loading_seconds = 0.0
        self._plan: Plan | None = None
        layers = settings.injection_layers or tuple(turn.about["own_injection_layers"] for turn in file.turns[:1])
        if layers or "sharedllm" not in settings.systems:
            self._plan = _plan_of(settings, {"own_injection_layers": layers[0] if layers else 0, "floors": {}})

    def run(self, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Measure what is missing."""
        result: dict[str, Any] | None = None
        try:
            while self._is_anything_to_measure():
                worker, plan = self._started()
                step = next_step(plan, self._file.turns, self._remaining())
                if step is None:
                    break
                turn = self._measured(worker, plan, step)
                self._file.add(turn)
                keep(result := self._result())
                self._report(plan, turn)
        except WorkerOverdueError as error:
            if self._plan is None or not (self._file.turns or self._plan.floors):
                raise SharedLLMError(
                    f"the model was not loaded within {self._settings.minutes:g} minutes",
                    remedy=f"give more {setting('minutes')}",
                ) from error
            self._progress(f"{self._settings.minutes:g} minutes are over; the turn that was running is not counted")
        finally:
            self._stop()
        if result is None or self._settings.minutes is not None:
            keep(result := self._result(finished=True))
        return result

    def _remaining(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()

    def _is_anything_to_measure(self) -> bool:
        remaining = self._remaining()
        if remaining is not None and self._worker is None:
            remaining -= self._loading_seconds
        if self._plan is None:
            return remaining is None or remaining > 0
        return next_step(self._plan, self._file.turns, remaining) is not None

    def _started(self) -> tuple[WorkerProcess, Plan]:
        if self._worker is None or self._plan is None:
            self._progress("loading the model")
            begin = time.monotonic()
            self._worker = WorkerProcess(self._settings, self._deadline)
            try:
                description = self._worker.start()
            except WorkerKilledError as error:
                raise SharedLLMError("the machine has too little memory to load the model") from error
            self._loading_seconds = time.monotonic() - begin
            self._plan = _plan_of(self._settings, description)
            self._progress(f"loaded in {_duration(self._loading_seconds)}")
        return self._worker, self._plan

    def _measured(self, worker: WorkerProcess, plan: Plan, step: Step) -> Turn:
        expected = expected_seconds(plan, self._file.turns, step)
        about = f"about {_duration(expected)} expected, " if expected else ""
        self._progress(f"{_named(step, plan)} begins, {about}{_duration(time.monotonic() - self._began)} so far")
        begin = time.monotonic()
        try:
            reply = worker.measure(step)
        except WorkerKilledError:
            self._stop()
            reply = {"error": OUT_OF_MEMORY}
        model = {name: value for name, value in worker.description.items() if name != "floors"}
        return Turn(
            **asdict(step),
            seconds=time.monotonic() - begin,
            figures=reply.get("figures", {}),
            floors=reply.get("floors", {}),
            error=reply.get("error", ""),
            about=model | ({"rates": reply["rates"]} if "rates" in reply else {}),
        )

    def _report(self, plan: Plan, turn: Turn) -> None:
        outcome = turn.error or f"{turn.figures['unread']:.2f} s to the first token, {_duration(turn.seconds)} in all"
        to_go = seconds_to_go(plan, self._file.turns, self._remaining())
        rest = "" if to_go is None else f", about {_duration(to_go)} to go"
        so_far = _duration(time.monotonic() - self._began)
        self._progress(f"{_named(turn, plan)}: {outcome}; {so_far} so far{rest}")

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.close(self._progress)
        self._worker = None

    def _result(self, *, finished: bool = False) -> dict[str, Any]:
        skipped: dict[tuple[int, str], dict[str, Any]] = {}
        remaining, minutes = self._remaining(), self._settings.minutes
        if finished and self._plan is not None and remaining is not None and minutes is not None:
            skipped = skipped_turns(self._plan, self._file.turns, remaining, minutes)
        return {
            "version": __version__,
            "machine": self._machine,
            "settings": self._settings.to_dict(),
            "seconds": round(time.monotonic() - self._began, 3),
            "rows": rows_of(self._file.turns, skipped),
        }


def _plan_of(settings: EfficiencySettings, description: dict[str, Any]) -> Plan:
    names = system_names(settings, description["own_injection_layers"])
    return Plan(
        lengths=settings.lengths,
        systems=tuple(name for group in names.values() for name in group),
        compared=tuple(name for system in COMPARED for name in names.get(system, ())),
        repeats=settings.repeats,
        max_seconds=settings.max_seconds,
        new_tokens=settings.new_tokens,
        floors={
            (int(length), system): floors
            for length, systems in description["floors"].items()
            for system, floors in systems.items()
        },
    )


def _named(turn: Step | Turn, plan: Plan) -> str:
    return f"{turn.past_tokens:>9,} tokens, {turn.system}, turn {turn.number + 1} of {plan.repeats}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""All lengths, one process each, and what came of them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ... import __version__
from ...errors import SharedLLMError
from ...model.lower_model import is_out_of_memory_message
from ..machine import machine
from .settings import EfficiencySettings
from .worker import OUT_OF_MEMORY

__all__ = ["measure"]

_KILLED = -9  # by the kernel, which frees memory this way


def measure(
    settings: EfficiencySettings,
    progress: Callable[[str], None] = lambda _: None,
    keep: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure everything that the settings name.

    Args:
        settings: what is measured.
        progress: receives a line for each system and length.
        keep: is given the result so far after each length, which may have taken an hour.

    Returns:
        What JSON can hold: `version`, `machine`, `settings`, and `rows`, one for each length and system. A row has
        `past_tokens`, `system`, and `error` or: `runs`; `seconds`, the medians of each figure (`unread`, `read`,
        `warm`, `from_disk`, and `decode`, of one token), and `all_seconds`; `floors`, the least seconds of each on this
        machine; `peak_bytes` above what was held before, `state_bytes`, `tree_bytes`, `weight_bytes`; and `rates`.

    Raises:
        SharedLLMError: a measurement failed for another reason than memory.
    """
    rows: list[dict[str, Any]] = []
    result = {
        "version": __version__,
        "machine": machine(settings.device),
        "settings": settings.to_dict(),
        "rows": rows,
    }
    for length in settings.lengths:
        for row in _Length(settings, length).measure(progress):
            rows.append(row)
            progress(_said(row))
        keep(result)
    return result


@dataclass
class _Length:
    """What worker processes say of one length.

    One that was killed for its memory is followed by one without what it was killed at.
    """

    settings: EfficiencySettings
    length: int
    about: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    floors: dict[str, dict[str, float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    enough: set[str] = field(default_factory=set)
    refused: dict[str, Any] = field(default_factory=dict)
    at: str = ""

    def measure(self, progress: Callable[[str], None]) -> list[dict[str, Any]]:
        """The rows."""
        while self._work(progress) == _KILLED:
            if not self.at:
                raise SharedLLMError(
                    f"the machine has too little memory to load the model at {self.length} tokens of past context"
                )
            self.errors[self.at] = OUT_OF_MEMORY
            self.at = ""
        return [self._row(name) for name in dict.fromkeys((*self.figures, *self.errors))]

    def _work(self, progress: Callable[[str], None]) -> int:
        enough = [n for n, turns in self.figures.items() if n in self.enough or len(turns) >= self.settings.repeats]
        command = [sys.executable, "-m", "sharedllm_core.evaluation.efficiency.worker"]
        command += [json.dumps(self.settings.to_dict()), str(self.length), *self.errors, *enough]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,  # noqa: S603 (ours)
        ):
            assert process.stdout
            for line in process.stdout:
                self._take(json.loads(line), progress)
            process.wait()
            errors.seek(0)
            said = errors.read().strip()
        if process.returncode in (0, _KILLED):
            if said and process.returncode == 0 and "Warning" in said:
                progress(said)
            return process.returncode
        if is_out_of_memory_message(said) or "bad_alloc" in said:
            return _KILLED
        last = {"what": (said.splitlines() or [f"exit status {process.returncode}"])[-1]}
        parts = self.refused or last
        raise SharedLLMError(**parts | {"what": f"the measurement of {self.length} tokens failed: {parts['what']}"})

    def _take(self, line: dict[str, Any], progress: Callable[[str], None]) -> None:
        name = line.get("system", "")
        if "rates" in line:
            self.about = line
        elif "begins" in line:
            self.at = name
            progress(f"{self.length:>9,} tokens, {name}, turn {line['begins'] + 1}")
        elif "enough" in line:
            self.enough.add(name)
        elif "refused" in line:
            self.refused = line["refused"]
        elif "error" in line:
            self.errors[name] = line["error"]
        else:
            self.figures.setdefault(name, []).append(line["figures"])
            self.floors[name] = line["floors"]

    def _row(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = {"past_tokens": self.length, "system": name}
        if name in self.errors:
            return row | {"error": self.errors[name]}
        turns = self.figures[name]
        of = {figure: [turn[figure] for turn in turns] for figure in turns[0]}
        seconds = {figure: values for figure, values in of.items() if not figure.endswith("_bytes")}
        return row | {
            "runs": len(turns),
            "seconds": {figure: median(values) for figure, values in seconds.items()},
            "floors": {figure: least for figure, least in self.floors[name].items() if figure in seconds},
            "all_seconds": seconds,
            **{figure: max(values) for figure, values in of.items() if figure.endswith("_bytes")},
            **self.about,
        }


def _said(row: dict[str, Any]) -> str:
    outcome = row.get("error") or f"{row['seconds']['unread']:.2f} s to the first token, {row['runs']} runs"
    return f"{row['past_tokens']:>9,} tokens, {row['system']}: {outcome}"

"""Measured turns: one system at one length once, each a line on disk as soon as it is known."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ... import __version__
from ..machine import machine
from ..result_folder import keep_settings, read_json_lines
from .settings import EfficiencySettings

__all__ = ["Step", "Turn", "TurnFile", "holds_turns"]

_TURNS = "turns.jsonl"
_SETTINGS = "settings.json"
#: Settings that say which turns there are, and not how one is measured: a later run may change them.
_WHICH_TURNS = ("lengths", "systems", "injection_layers", "repeats", "max_seconds", "minutes")


@dataclass(frozen=True)
class Step:
    """A turn to measure.

    Attributes:
        past_tokens: the length.
        system: by its name in tables.
        number: from 0.
    """

    past_tokens: int
    system: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A turn that was measured.

    Attributes:
        past_tokens, system, number: as those of the `Step`.
        seconds: of the whole turn, with what had to be prepared for it.
        figures: by name, in seconds, or in bytes where the name ends so; empty if the turn failed.
        floors: the least seconds of each figure on this machine.
        error: why it failed; empty if it did not.
        about: of the model and the machine: `rates`, `weight_bytes`, `dtype`, `own_injection_layers`.
    """

    past_tokens: int
    system: str
    number: int
    seconds: float
    figures: dict[str, float] = field(default_factory=dict)
    floors: dict[str, float] = field(default_factory=dict)
    error: str = ""
    about: dict[str, Any] = field(default_factory=dict)


class TurnFile:
    """The turns of a folder, to which each run adds.

    Args:
        folder: made if it is missing; `None` keeps turns in memory alone.
        settings: of this run.

    Attributes:
        turns: those of earlier runs, and of this one.

    Raises:
        InputError: the folder has turns that were measured with other settings, on another machine or with another
            version, or a line is damaged.
    """

    def __init__(self, folder: Path | None, settings: EfficiencySettings) -> None:
        self._path = None if folder is None else folder / _TURNS
        self.turns: list[Turn] = []
        if folder is not None and self._path is not None:
            folder.mkdir(parents=True, exist_ok=True)
            keep_settings(folder / _SETTINGS, _same_in_all_runs(settings))
            self.turns = [Turn(**row) for row in read_json_lines(self._path, "past_tokens", "system", "number")]

    def add(self, turn: Turn) -> None:
        """Keep a turn."""
        self.turns.append(turn)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(asdict(turn)) + "\n")


def holds_turns(folder: Path) -> bool:
    """Whether a folder has turns from which a run can go on."""
    return (folder / _TURNS).exists()


def _same_in_all_runs(settings: EfficiencySettings) -> dict[str, Any]:
    measuring = {name: value for name, value in settings.to_dict().items() if name not in _WHICH_TURNS}
    hardware = machine(settings.device)
    return {"version": __version__, **measuring, **hardware, "device": settings.device, "card": hardware["device"]}

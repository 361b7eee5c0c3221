"""Figures of a measurement as JSON, with the machine and the options that they were measured with."""

import argparse
import json
from pathlib import Path
from typing import Any

from .machine import machine

__all__ = ["with_conditions", "write_figures"]


def with_conditions(options: argparse.Namespace, figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures behind the machine and the options; `json`, where they are written, is no condition."""
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    return {"machine": machine(), "settings": settings, **figures}


def write_figures(result: dict[str, Any], path: Path | None) -> None:
    """Write figures to a file, whose folder is created if missing; `None` to write nothing."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")

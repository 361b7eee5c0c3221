"""Folders of results to which a later run adds: settings that must stay the same, lines of JSON, atomic writes."""

import json
import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from .. import InputError
from ..errors import setting

__all__ = ["keep_settings", "read_json_lines", "replace_file"]


def keep_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a folder, or check that they are those already there.

    Args:
        path: the file of the settings.
        settings: plain values, by name.

    Raises:
        InputError: the folder has results with other settings, which are named, or the file is damaged.
    """
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error})", remedy="use another folder") from error
        different = sorted(name for name in there | settings if there.get(name) != settings.get(name))
        if different:
            changes = ", ".join(
                f"{setting(name)} was {there.get(name)} and is {settings.get(name)}" for name in different
            )
            raise InputError(
                f"{path.parent} has results with other settings: {changes}",
                remedy="use another folder, or the old settings",
            )
        return
    replace_file(path, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def read_json_lines(path: Path, *key: str) -> Iterator[dict[str, Any]]:
    """The lines of a file, of which the first of each key counts.

    A last line that was only half written is removed from the file, and so the next run adds whole lines.

    Args:
        path: the file; there may be none yet.
        key: fields that every line has, and that together occur once.

    Raises:
        InputError: another line is damaged.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    seen: set[Hashable] = set()
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = json.loads(line)
            own = tuple(row[name] for name in key)
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}, line {number}: no result ({error})", remedy="take the line out, and run again"
            ) from error
        if own not in seen:
            seen.add(own)
            yield row


def replace_file(path: Path, text: str) -> None:
    """Write a file at once: whoever reads it finds the old text or the new one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)

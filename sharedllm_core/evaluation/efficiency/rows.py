"""Rows of a result: the turns of one system at one length become one."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .turns import Turn

__all__ = ["rows_of"]

_Row = dict[str, Any]


def rows_of(turns: Sequence[Turn], skipped: Mapping[tuple[int, str], _Row]) -> list[_Row]:
    """One row for each length and system.

    Args:
        turns: that were measured.
        skipped: by length and system, how many `turns` were left out, and the `reason`.

    Returns:
        Rows as `measure` describes them, the shortest length first; systems stand in the order of their first turns.
    """
    own: dict[tuple[int, str], list[Turn]] = {}
    for turn in turns:
        own.setdefault((turn.past_tokens, turn.system), []).append(turn)
    systems = list(dict.fromkeys(system for _, system in (*own, *skipped)))
    keys = sorted({*own, *skipped}, key=lambda key: (key[0], systems.index(key[1])))
    return [_row(*key, own.get(key, []), skipped.get(key)) for key in keys]


def _row(past_tokens: int, system: str, turns: Sequence[Turn], skipped: _Row | None) -> _Row:
    row: _Row = {"past_tokens": past_tokens, "system": system}
    if error := next((turn.error for turn in turns if turn.error), None):
        return row | {"error": error}
    if skipped is not None:
        row["skipped"] = skipped
    if not turns:
        return row
    values = {figure: [turn.figures[figure] for turn in turns] for figure in turns[0].figures}
    seconds = {figure: own for figure, own in values.items() if not figure.endswith("_bytes")}
    newest = turns[-1]
    return row | {
        "runs": len(turns),
        "seconds": {figure: median(own) for figure, own in seconds.items()},
        "floors": {figure: least for figure, least in newest.floors.items() if figure in seconds},
        "all_seconds": seconds,
        **{figure: max(own) for figure, own in values.items() if figure.endswith("_bytes")},
        **{name: value for name, value in newest.about.items() if name != "own_injection_layers"},
    }

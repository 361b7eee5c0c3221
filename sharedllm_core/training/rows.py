"""JSON lines that are too many for memory: where each begins, and what is in it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DocumentError, SharedLLMError

__all__ = ["JsonRows"]

#: The error of a row, without its place, or `None`.
Check = Callable[[dict[str, Any]], SharedLLMError | None]


class JsonRows:
    """The rows of files of JSON lines, by number; one row in memory at a time.

    Every row is read once when this is made, and what is wrong is said with file and line.

    Args:
        paths: the files.
        check: gives the error of a row.

    Raises:
        DocumentError: a file that is missing, empty or compressed; a line that is no JSON object; what `check` gives.
    """

    def __init__(self, paths: Sequence[str | Path], check: Check) -> None:
        self.paths = [Path(path) for path in paths]
        starts: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        for path in self.paths:
            of_file = _starts(path, check)
            if not len(of_file):
                raise DocumentError(f"{path} holds no row", remedy="write one JSON object per line")
            starts.append(of_file)
        self._starts = np.concatenate(starts)
        self._first_of = np.cumsum([0, *(len(of) for of in starts)])

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> dict[str, Any]:
        file = int(np.searchsorted(self._first_of, number, side="right")) - 1
        with self.paths[file].open("rb") as opened:
            opened.seek(int(self._starts[number]))
            row: dict[str, Any] = json.loads(opened.readline())
        return row


def _starts(path: Path, check: Check) -> "np.ndarray[Any, np.dtype[np.int64]]":
    if not path.is_file():
        raise DocumentError(f"{path} is no file", remedy="give files of JSON lines")
    if path.suffix in (".xz", ".gz", ".zst", ".bz2"):
        raise DocumentError(f"{path} is compressed, and rows are read in any order", remedy="unpack it first")
    starts, at = [], 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                _check_line(line, f"{path}, line {number}", check)
                starts.append(at)
            at += len(line)
    return np.array(starts, dtype=np.int64)


def _check_line(line: bytes, where: str, check: Check) -> None:
    try:
        row = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DocumentError(f"{where}: no JSON ({error})", remedy="write one object per line, in UTF-8") from error
    fault = check(row) if isinstance(row, dict) else DocumentError(f"a {type(row).__name__}", remedy="write an object")
    if fault:
        raise DocumentError(f"{where}: {fault.what}", limit=fault.limit, remedy=fault.remedies)

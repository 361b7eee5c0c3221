"""Extraction of the texts of many files, on several cores where that is faster."""

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from contextlib import ExitStack
from pathlib import Path

from ...errors import DocumentError, InputError, setting
from .extracted import Extracted
from .extractor_processes import ExtractorProcesses
from .formats import extract_text, has_reader

__all__ = ["ExtractionProgress", "Outcome", "extract_all"]

#: Called with the number of files that are done, of how many, and the path of the one that is waited for.
ExtractionProgress = Callable[[int, int, str], None]

#: The text of a file, or why it has none.
Outcome = Extracted | DocumentError | ImportError | OSError

#: Processes take some 0.3 seconds to start, in which one reads about this much of formats that are parsed.
_WORTH_PROCESSES_BYTES = 2_000_000
_MOST_PROCESSES = 8
_PROGRESS_SECONDS = 0.2


def extract_all(
    paths: Sequence[Path], processes: int | None = None, progress: ExtractionProgress | None = None
) -> Generator[Outcome, None, None]:
    """Extract the texts of files, in their order.

    Args:
        paths: of the files.
        processes: how many to extract in; 1 extracts in this one, and `None` chooses by the files' kinds and sizes and
            by the cores that this process may use.
        progress: called before a file is waited for, and several times a second meanwhile.

    Raises:
        InputError: `processes` is below 1.
    """
    if processes is not None and processes < 1:
        raise InputError(f"{setting('processes', processes)} is not allowed", remedy="give at least 1")
    count = min(len(paths), processes or _worthwhile_processes(paths))
    return _extract_here(paths, progress) if count <= 1 else _extract_in_processes(paths, count, progress)


def _worthwhile_processes(paths: Sequence[Path]) -> int:
    parsed = sum(_size(path) for path in paths if has_reader(path))
    return 1 if parsed < _WORTH_PROCESSES_BYTES else min(_usable_cores(), _MOST_PROCESSES)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reported where the file is read
        return 0


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _extract_here(paths: Sequence[Path], progress: ExtractionProgress | None) -> Generator[Outcome, None, None]:
    for done, path in enumerate(paths):
        if progress:
            progress(done, len(paths), str(path))
        yield _outcome(path)


def _outcome(path: Path) -> Outcome:
    try:
        return extract_text(path)
    except (DocumentError, ImportError, OSError) as error:
        return error


def _extract_in_processes(
    paths: Sequence[Path], count: int, progress: ExtractionProgress | None
) -> Generator[Outcome, None, None]:
    with ExitStack() as stack:
        try:
            extractors = stack.enter_context(ExtractorProcesses(count))
        except OSError:  # no further process may be started here
            yield from _extract_here(paths, progress)
            return
        waiting = [extractors.submit(path) for path in paths]
        done: list[Future[Outcome]] = []
        for future in waiting:
            future.add_done_callback(done.append)
        for path, future in zip(paths, waiting, strict=True):
            while True:
                if progress:
                    progress(len(done), len(paths), str(path))
                if (outcome := _finished(future)) is not None:
                    break
            yield outcome


def _finished(future: "Future[Outcome]") -> Outcome | None:
    try:
        return future.result(_PROGRESS_SECONDS)
    except StillRunning:
        return None

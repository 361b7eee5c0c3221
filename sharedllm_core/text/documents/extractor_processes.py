"""Processes that extract texts of files side by side.

They are started as programs of their own and not by `multiprocessing`, which would run the caller's script again in
each of them.
"""

import os
import pickle
import queue
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from ...errors import DocumentError
from .extracted import Extracted

__all__ = ["ExtractorProcesses"]

_SECONDS_TO_END = 10.0
_PROGRAM = "from sharedllm_core.text.documents.extractor import serve; serve()"


class ExtractorProcesses:
    """A number of processes, each of which extracts one file at a time; they end with the `with` block.

    Args:
        count: how many.

    Raises:
        OSError: a process cannot be started.
    """

    def __init__(self, count: int) -> None:
        self._idle: queue.SimpleQueue[_Extractor] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="sharedllm-extract")
        self._all: list[_Extractor] = []
        try:
            for _ in range(count):
                self._all.append(_Extractor())
        except OSError:
            self._end()
            raise
        for extractor in self._all:
            self._idle.put(extractor)

    def submit(self, path: Path) -> "Future[Extracted | DocumentError | ImportError | OSError]":
        """Have a file extracted; errors are results, so that those of later files do not come first."""
        return self._threads.submit(self._extract, path)

    def _extract(self, path: Path) -> Extracted | DocumentError | ImportError | OSError:
        extractor = self._idle.get()
        try:
            return extractor.extract(path)
        finally:
            self._idle.put(extractor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for extractor in self._all:
            extractor.kill()
        self._threads.shutdown()  # a thread that is replacing a process finishes first
        for extractor in self._all:
            extractor.close()


class _Extractor:
    """One process; paths go to its standard input and outcomes come from its standard output, pickled."""

    def __init__(self) -> None:
        self._ended = False
        self._start()

    def _start(self) -> None:
        paths = [path or os.getcwd() for path in sys.path]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with a fixed program
            [sys.executable, "-W", "ignore", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )

    def extract(self, path: Path) -> Extracted | DocumentError | ImportError | OSError:
        """Extract a file. If the process ends over it, the file is unreadable and the next one gets a new process."""
        try:
            pickle.dump(path, paths := cast("IO[bytes]", self._process.stdin))
            paths.flush()
            outcome = pickle.load(cast("IO[bytes]", self._process.stdout))  # noqa: S301 - written by this package
        except (EOFError, OSError, pickle.UnpicklingError):
            code = self._ended_with()
            if not self._ended:
                self._start()
            return DocumentError(f"the process that extracted its text ended with {code}", remedy="repair the file")
        return cast("Extracted | DocumentError | ImportError | OSError", outcome)

    def _ended_with(self) -> int:
        """The exit code of a process whose pipe ended; one that still runs is ended."""
        try:
            return self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def kill(self) -> None:
        """End the process, whatever it is doing; no other takes its place."""
        self._ended = True
        self._process.kill()

    def close(self) -> None:
        """End the process and close its pipes."""
        self.kill()
        with suppress(OSError), self._process:  # closing writes what a broken pipe did not take
            pass

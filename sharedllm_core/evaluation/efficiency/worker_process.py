"""`WorkerProcess`: the other end of `worker.py`, which sends requests and finds out why the process died."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from threading import Timer
from typing import Any

from ...errors import SharedLLMError
from ...model.lower_model import is_out_of_memory_message
from .settings import EfficiencySettings
from .turns import Step

__all__ = ["WorkerKilledError", "WorkerOverdueError", "WorkerProcess"]

_KILLED = -9  # by the kernel, which frees memory this way
_ENDS_WITHIN_SECONDS = 30


class WorkerKilledError(Exception):
    """The process needed more memory than the machine has."""


class WorkerOverdueError(Exception):
    """The process was ended at the deadline."""


class WorkerProcess:
    """A process that measures turns.

    Args:
        settings: of the run.
        deadline: when the process is ended, as `time.monotonic()` counts; `None` for never.

    Attributes:
        description: what the process says of the model; empty until `start`.
    """

    def __init__(self, settings: EfficiencySettings, deadline: float | None) -> None:
        self.description: dict[str, Any] = {}
        self._deadline = deadline
        self._resources = ExitStack()
        folder = self._resources.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        self._errors = self._resources.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115 (closed with the resources)
        command = [sys.executable, "-m", "sharedllm_core.evaluation.efficiency.worker"]
        self._process = subprocess.Popen(  # noqa: S603 (ours)
            [*command, json.dumps(settings.to_dict()), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._refused: dict[str, Any] = {}

    def start(self) -> dict[str, Any]:
        """Wait until the model is loaded.

        Returns:
            The description.

        Raises:
            WorkerKilledError: the machine has too little memory for the model.
            WorkerOverdueError: the deadline came first.
            SharedLLMError: the model cannot be loaded, for another reason.
        """
        self.description = self._reply()
        return self.description

    def measure(self, step: Step) -> dict[str, Any]:
        """Measure a turn.

        Returns:
            The answer of `worker.py`.

        Raises:
            WorkerKilledError, WorkerOverdueError, SharedLLMError: as `start`; the process is dead.
        """
        assert self._process.stdin
        with suppress(BrokenPipeError):  # what it died of is found where its reply is read
            self._process.stdin.write(json.dumps(asdict(step)) + "\n")
            self._process.stdin.flush()
        return self._reply()

    def close(self, report: Callable[[str], None] = lambda _: None) -> None:
        """End the process.

        Args:
            report: receives the warnings that it wrote.
        """
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()  # the process ends with its input
        try:
            self._process.wait(_ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        if "Warning" in (written := self._written()):
            report(written)
        self._resources.close()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout
        overdue = Timer(max(0.0, self._deadline - time.monotonic()) if self._deadline else 0, self._process.kill)
        if self._deadline is not None:
            overdue.start()
        try:
            line = self._process.stdout.readline()
        finally:
            overdue.cancel()
        if not line:
            raise self._reason_of_death()
        reply: dict[str, Any] = json.loads(line)
        if "refused" in reply:
            self._refused = reply["refused"]
            return self._reply()
        return reply

    def _reason_of_death(self) -> Exception:
        code, written = self._process.wait(), self._written()
        if code == _KILLED and self._deadline is not None and time.monotonic() >= self._deadline:
            return WorkerOverdueError()
        if code == _KILLED or is_out_of_memory_message(written) or "bad_alloc" in written:
            return WorkerKilledError()
        last = {"what": (written.splitlines() or [f"exit status {code}"])[-1]}
        parts = self._refused or last
        return SharedLLMError(**parts | {"what": f"the measurement failed: {parts['what']}"})

    def _written(self) -> str:
        self._errors.seek(0)
        return self._errors.read().strip()

"""The command line in processes of its own, with pipes or with a terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

from tests.tiny_engine import ROOT

_LIMIT_S = 90
_CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def environment(**changes):
    return {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", **changes}


def heed_interrupts():
    """Undo in a child process that its ancestors ignore interrupts, as background jobs of a shell do."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*arguments):
    return [sys.executable, "-m", "sharedllm_core", *(str(part) for part in arguments)]


def run(*arguments, stdin=None, **changes):
    """A command with pipes; text is what a UTF-8 terminal would show."""
    return subprocess.run(
        command(*arguments),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        env=environment(**changes),
        timeout=_LIMIT_S,
        check=False,
    )


def wait_until(condition):
    end = time.monotonic() + _LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


class Terminal:
    """A command in a pseudo-terminal; `shown` is what it printed, without colours."""

    def __init__(self, *arguments, **streams):
        self._mine, theirs = pty.openpty()
        settings = {"stdin": theirs, "stdout": theirs, "stderr": theirs} | streams
        self.process = subprocess.Popen(
            command(*arguments),
            env=environment(TERM="xterm"),
            start_new_session=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509 (no thread of the tests holds a lock)
            **settings,
        )
        os.close(theirs)
        self._read = b""

    @property
    def shown(self):
        return _CODES.sub("", self._read.decode(errors="replace"))

    @property
    def raw(self):
        return self._read

    def type(self, text):
        os.write(self._mine, text.encode())

    def wait_for(self, text, count=1):
        end = time.monotonic() + _LIMIT_S
        while self.shown.count(text) < count:
            assert time.monotonic() < end, self.shown
            assert self._receive(0.1), f"{text!r} did not come: {self.shown}"

    def wait(self):
        """Read to the end; the exit code."""
        end = time.monotonic() + _LIMIT_S
        while self._receive(0.1):
            assert time.monotonic() < end, f"it did not end: {self.shown}"
        code = self.process.wait(_LIMIT_S)
        os.close(self._mine)
        return code

    def _receive(self, seconds):
        """False when the other side is closed."""
        if select.select([self._mine], [], [], seconds)[0]:
            try:
                got = os.read(self._mine, 65536)
            except OSError:
                return False
            self._read += got
            return bool(got)
        return True

"""Ctrl-C: the exit code is 130, and one line says what is kept."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["EXIT_CODE", "kept_on_interrupt", "loading_libraries"]

EXIT_CODE = 130
_NOTHING_KEPT = b"interrupted before anything was read or changed\n"


@contextmanager
def loading_libraries() -> Iterator[None]:
    """End the process at once if it is interrupted in this block, in which libraries are imported and nothing changes.

    A `KeyboardInterrupt` that is raised during an import is printed as a traceback from inside the library, or is lost
    where the library catches it.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, as in background jobs, or nested
        yield
        return
    try:
        signal.signal(signal.SIGINT, _end_process)
    except ValueError:  # not the main thread, which alone receives interrupts
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end_process(number: int, frame: Any) -> None:
    os.write(2, _NOTHING_KEPT)
    os._exit(EXIT_CODE)


@contextmanager
def kept_on_interrupt(describe: Callable[[], str]) -> Iterator[None]:
    """Say what is kept if this block is interrupted, and end the command.

    Args:
        describe: what is kept; called after the interrupt.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        import typer

        from .output import say

        say(f"interrupted: {describe()}")
        raise typer.Exit(EXIT_CODE) from interrupt

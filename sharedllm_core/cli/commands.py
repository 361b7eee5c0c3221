"""What all commands do with errors: name the command's own options, print one line, exit with code 1."""

import os
import traceback
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..errors import SharedLLMError
from .interrupts import EXIT_CODE
from .output import print_error, say
from .wording import running_command

__all__ = ["Command", "CommandLine", "print_traceback"]


class Command(TyperCommand):
    """A command; errors of the library name its options."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with running_command(self.params) as wording:
            try:
                return super().invoke(ctx)
            except SharedLLMError as error:
                error.wording = wording
                raise


class CommandLine(TyperGroup):
    """All commands; an expected error becomes one line on standard error, and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            say("interrupted")
            raise typer.Exit(EXIT_CODE) from interrupt
        except BrokenPipeError:  # the reader of standard output has gone
            raise
        except (SharedLLMError, OSError, ImportError) as error:
            print_traceback()
            print_error(str(error))
            raise typer.Exit(1) from error


def print_traceback() -> None:
    """Print the traceback of the current error where --debug is given."""
    if os.environ.get("SHAREDLLM_DEBUG"):
        traceback.print_exc()

"""`sharedllm`: the command line. One file per command."""

import os
import sys
import warnings
from typing import Annotated, TextIO, cast

import typer

from ..errors import CacheWarning, CutOffWarning, DefaultModelWarning, ReadingWarning
from ..version import __version__
from . import options
from .ask import ask
from .bench import bench
from .cache import cache_commands
from .commands import Command, CommandLine, print_traceback
from .eval import evaluate
from .inspect import inspect
from .make_tasks import make_tasks
from .output import print_error, print_warning
from .plan import plan
from .read import read
from .train import train
from .wording import current_wording

__all__ = ["app", "main"]

_HELP = """Read whole document sets with a short-context language model, and answer from them.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.
"""

app = typer.Typer(
    cls=CommandLine, help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)
app.command(cls=Command)(ask)
app.command(cls=Command)(read)
app.command(cls=Command)(inspect)
app.command(cls=Command)(plan)
app.command(cls=Command)(train)
app.command("eval", cls=Command)(evaluate)
app.command(cls=Command)(bench)
app.command("make-tasks", cls=Command)(make_tasks)
app.add_typer(cache_commands, name="cache")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"sharedllm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: options.Debug = False,
) -> None:
    pass


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    warnings.showwarning = _show_warning
    _open_closed_streams()
    _take_any_text()
    try:
        app(prog_name="sharedllm")
    except Exception as error:  # a fault of this library, or of one below
        print_traceback()
        print_error(f"unexpected {type(error).__name__}: {error}; --debug shows where it comes from")
        sys.exit(1)


def _open_closed_streams() -> None:
    """Discard output where its stream was closed before the start (`>&-`), and read an empty standard input."""
    if sys.stdin is None:
        sys.stdin = _null("r")
    if sys.stdout is None:
        sys.stdout = _null("w")
    if sys.stderr is None:
        sys.stderr = _null("w")


def _null(mode: str) -> TextIO:
    return cast(TextIO, open(os.devnull, mode, encoding="utf-8"))  # open until the process ends


def _take_any_text() -> None:
    """Escape what the encoding of an output stream cannot express, and replace what that of the input cannot."""
    for stream, errors in (
        (sys.stdin, "replace"),
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=errors)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if isinstance(message, CacheWarning | DefaultModelWarning | ReadingWarning):
        message.wording = current_wording()
        print_warning(str(message))
    elif os.environ.get("SHAREDLLM_DEBUG") and category is not CutOffWarning:  # commands report each such answer
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

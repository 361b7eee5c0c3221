"""`sharedllm`: the command line. One file per command."""

import os
import sys
import traceback
import warnings
from collections.abc import Collection
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from ..errors import CacheWarning, SharedLLMError
from ..version import __version__
from . import options
from .ask import ask
from .bench import bench
from .cache import cache_commands
from .eval import evaluate
from .inspect import inspect
from .make_tasks import make_tasks
from .plan import plan
from .read import read
from .train import train
from .wording import in_options, visible

__all__ = ["app", "main"]

_HELP = """Read whole document sets with a short-context language model, and answer from them.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.
"""


class _Commands(TyperGroup):
    """All commands; what the library refuses becomes one line on standard error, and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read our output has gone
            raise
        except (SharedLLMError, OSError, ImportError) as error:
            _trace()
            command = self.get_command(ctx, ctx.invoked_subcommand) if ctx.invoked_subcommand else None
            names = {str(parameter.name) for parameter in command.params} if command else set()
            _say("Error: ", "bold red", str(error), names)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="sharedllm",
    cls=_Commands,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode=None,
)
app.command()(ask)
app.command()(read)
app.command()(inspect)
app.command()(plan)
app.command()(train)
app.command("eval")(evaluate)
app.command()(bench)
app.command("make-tasks")(make_tasks)
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
    _take_any_text()
    try:
        app(prog_name="sharedllm")
    except Exception as error:  # a fault of this library, or of one below
        _trace()
        _say("Error: ", "bold red", f"unexpected {type(error).__name__}: {error}; --debug shows where it comes from")
        sys.exit(1)


def _take_any_text() -> None:
    """File names and documents may hold what a stream's encoding has not: it is written escaped, and read replaced."""
    for stream, errors in (
        (sys.stdin, "replace"),
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=errors)


def _trace() -> None:
    if os.environ.get("SHAREDLLM_DEBUG"):
        traceback.print_exc()


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, CacheWarning):
        _say("Warning: ", "bold yellow", str(message))
    elif os.environ.get("SHAREDLLM_DEBUG"):
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def _say(head: str, style: str, text: str, names: Collection[str] = ()) -> None:
    shown = Text(head, style=style)
    shown.append(visible(in_options(text, names)), style="default")
    Console(stderr=True, soft_wrap=True).print(shown)

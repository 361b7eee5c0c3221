"""`sharedllm`: the command line. One file per command."""

import os
import sys
import traceback
import warnings
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.text import Text

from ..errors import CacheWarning, SharedLLMError
from ..version import __version__
from .ask import ask
from .cache import cache_commands
from .inspect import inspect
from .plan import plan
from .read import read
from .train import train

__all__ = ["app", "main"]

app = typer.Typer(
    name="sharedllm",
    help="Read whole document sets with a short-context language model, and answer from them.",
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
) -> None:
    pass


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    warnings.showwarning = _show_warning
    try:
        app()
    except (SharedLLMError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):  # whoever read our output has gone
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115
            sys.exit(1)
        if os.environ.get("SHAREDLLM_DEBUG"):
            traceback.print_exc()
        _say("Error: ", "bold red", str(error))
        sys.exit(1)


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


def _say(head: str, style: str, text: str) -> None:
    shown = Text(head, style=style)
    shown.append(text, style="default")
    Console(stderr=True, soft_wrap=True).print(shown)

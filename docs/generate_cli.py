"""Writes docs/reference/cli.md: a short introduction, and the help of each command as it prints it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from sharedllm_core.cli.main import app

PAGE = Path(__file__).with_name("reference") / "cli.md"
_COLUMNS = 80

_INTRODUCTION = """\
# Command line

Four examples:

    sharedllm ask "What is the notice period?" --docs contract.pdf --docs handbook/
    sharedllm read "archive/**/*.md"          # ahead of questions, which then start at once
    sharedllm inspect contract.pdf --question "Who pays?" --html who_pays.html
    curl -s https://example.org/terms.html | sharedllm ask "Who pays?" --docs -

Answers and JSON go to standard output, everything else (progress, figures, warnings, errors) to standard error.
`python -m sharedllm_core` is the same as `sharedllm`.

| exit code | |
|---|---|
| 0 | done |
| 1 | refused or failed: the message says what was given, the limit, and what to do |
| 2 | wrong usage |
| 130 | interrupted (Ctrl-C); a line says what is kept |

| variable | |
|---|---|
| `SHAREDLLM_MODEL` | the model, where `--model` is not given |
| `SHAREDLLM_CACHE_DIR` | folder of the tree cache, where `--cache-dir` is not given |
| `SHAREDLLM_DEBUG` | any value does what `--debug` does: tracebacks, and the libraries' logs |

The rest of this page is what `--help` prints.
"""


def page() -> str:
    """The whole page."""
    parts = [f"## {name}\n\n```text\n{text}\n```\n" for name, text in _helps(typer.main.get_command(app), "sharedllm")]
    return "\n".join([_INTRODUCTION, *parts])


def _helps(command: Any, name: str, above: Any = None) -> Iterator[tuple[str, str]]:
    """Name and help of a command and of those below it, 80 columns wide whatever the terminal."""
    context = command.context_class(
        command, info_name=name.rsplit(maxsplit=1)[-1], parent=above, terminal_width=_COLUMNS
    )
    with context:
        yield name, "\n".join(line.rstrip() for line in command.get_help(context).strip().splitlines())
        for below, inner in getattr(command, "commands", {}).items():
            yield from _helps(inner, f"{name} {below}", context)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""Progress bars on stderr: the files that are extracted, and the tokens that are encoded."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

__all__ = ["FileProgress", "Progress"]


class _Shown:
    """A bar that ends with its `with` block; it appears when there is something to show.

    Args:
        shown: whether to show a bar; `None` shows it if stderr is a terminal.
    """

    def __init__(self, shown: bool | None = False) -> None:
        self._shown = sys.stderr.isatty() if shown is None else shown
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


class FileProgress(_Shown):
    """Shows how many files are extracted, and which one is waited for. A single file shows none."""

    def __call__(self, done: int, total: int, path: str) -> None:
        """Advance the bar; an `ExtractionProgress`."""
        if not self._shown or total == 1:
            return
        if self._bar is None:
            self._bar = Bar(
                TextColumn("Opening"),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("files · {task.description} ·", markup=False),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, description=_printable(Path(path).name))


class Progress(_Shown):
    """Shows how many tokens are encoded, how fast, and the share of cache hits; nothing where there are none."""

    def begin(self, total_tokens: int, cached_tokens: int) -> None:
        """Start the bar with the total and the cached number of tokens."""
        if not self._shown:
            return
        share = cached_tokens / max(1, total_tokens)
        self._bar = Bar(
            TextColumn("Reading"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("tokens · {task.fields[rate]} · " + f"{share:.0%} cached ·"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("", total=total_tokens, completed=cached_tokens, rate="… tokens/s")
        self._bar.start()

    def add(self, tokens: int) -> None:
        """Advance the bar by a number of encoded tokens."""
        if self._bar is None:
            return
        self._bar.advance(self._task, tokens)
        speed = self._bar.tasks[0].speed
        if speed:
            self._bar.update(self._task, rate=f"{speed:,.0f} tokens/s")


def _printable(name: str) -> str:
    """Replace characters that could move a terminal's cursor or change its colours."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)

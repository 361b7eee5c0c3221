"""A progress bar for encoding documents: tokens, tokens per second, and the share of cache hits."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

__all__ = ["Progress"]


class Progress:
    """Show encoding progress on stderr; without tokens to encode, no bar appears.

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

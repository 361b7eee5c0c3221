"""Async versions of the engine's methods: each runs the blocking one in a thread; cancelling stops the model."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from threading import Event
from typing import Literal, TypeVar, Unpack

from ..generation.answer import Answer
from ..generation.settings import AnswerOptions
from ..text.documents.reading import MAX_FILE_BYTES, Source
from ..text.library import Library
from .answering import PreparedQuestions, Question
from .libraries import Documents
from .lifetime import Lifetime
from .streaming import AsyncAnswerStream

__all__ = ["AsyncForms"]

_T = TypeVar("_T")
_BATCH_ROWS = 8


class AsyncForms:
    """Add `aread`, `aask`, `aask_batch` and `astream` to a class that has the blocking methods."""

    read: Callable[..., Library]
    ask: Callable[..., Answer]
    ask_batch: Callable[..., list[Answer]]
    _prepare: Callable[[Sequence[Question], Sequence[Documents], AnswerOptions], PreparedQuestions]
    _lifetime: Lifetime

    async def aread(
        self,
        sources: Source | Iterable[Source] | Library,
        *,
        on_error: Literal["raise", "skip"] = "raise",
        max_file_bytes: int = MAX_FILE_BYTES,
        progress: bool | None = None,
    ) -> Library:
        """Run `read` in a thread; cancelling the task stops reading."""
        return await self._in_thread(
            lambda cancelled: self.read(
                sources, on_error=on_error, max_file_bytes=max_file_bytes, progress=progress, cancelled=cancelled
            )
        )

    async def aask(self, question: Question, documents: Documents = None, **options: Unpack[AnswerOptions]) -> Answer:
        """Run `ask` in a thread; cancelling the task stops the model within one token."""
        return await self._in_thread(lambda cancelled: self.ask(question, documents, cancelled=cancelled, **options))

    async def aask_batch(
        self,
        questions: Sequence[Question],
        documents: Documents = None,
        *,
        libraries: Sequence[Library | None] | None = None,
        batch_size: int = _BATCH_ROWS,
        **options: Unpack[AnswerOptions],
    ) -> list[Answer]:
        """Run `ask_batch` in a thread; cancelling the task stops the model within one token."""
        return await self._in_thread(
            lambda cancelled: self.ask_batch(
                questions, documents, libraries=libraries, batch_size=batch_size, cancelled=cancelled, **options
            )
        )

    def astream(
        self, question: Question, documents: Documents = None, **options: Unpack[AnswerOptions]
    ) -> AsyncAnswerStream:
        """Return an async iterator as `stream` does.

        Invalid input raises at the first piece, not here: loading documents may take long.
        """
        stream = AsyncAnswerStream(
            lambda sink, cancelled: (
                self._prepare([question], [documents], options).generate([sink], cancelled)[0].answer()
            )
        )
        self._lifetime.add(stream)
        return stream

    async def _in_thread(self, call: Callable[[Event], _T]) -> _T:
        cancelled = Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._lifetime.threads, call, cancelled)
        except asyncio.CancelledError:
            cancelled.set()
            raise

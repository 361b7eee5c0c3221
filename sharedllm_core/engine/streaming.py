"""Answer streams: generated in a thread of their own, so a slow consumer does not block the engine.

The thread runs with the context variables of the caller that made the stream.
"""

import asyncio
import atexit
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Self
from weakref import WeakSet

from ..decoding.answer_text import Sink
from ..generation.answer import Answer, ThoughtPiece

__all__ = ["AnswerStream", "AsyncAnswerStream"]

#: Generates an answer: sends each piece to the sink, and stops early when the event is set.
Generate = Callable[[Sink, Event], Answer]
_Item = str | Answer | BaseException


class AnswerStream:
    """An iterator over the pieces of an answer; joined they are `answer.text`.

    `pieces` also gives the pieces of the thoughts before it. Closing the stream, leaving its `with` block or dropping
    the last reference stops the model within one token.

    Attributes:
        answer: the whole answer with usage and evidence after the last piece; `None` before.
    """

    def __init__(self, generate: Generate) -> None:
        self.answer: Answer | None = None
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()  # `None` after `close`
        self._cancelled = Event()
        self._ended = False
        # The thread refers to the queue, not to the stream, so that an abandoned stream is garbage-collected.
        self._thread = _GenerationThread(_in_own_context(generate), self._queue.put, self._cancelled)
        weakref.finalize(self, self._cancelled.set)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while isinstance(piece := self._next_piece(), ThoughtPiece):
            pass
        return piece

    def pieces(self) -> Iterator[str]:
        """Iterate over the pieces of the thoughts, which are `ThoughtPiece`s, and of the answer, in their order.

        Example:
            >>> for piece in stream.pieces():
            ...     print(piece, end="", file=sys.stderr if isinstance(piece, ThoughtPiece) else sys.stdout)
        """
        with suppress(StopIteration):
            while True:
                yield self._next_piece()

    def _next_piece(self) -> str:
        if self._ended:
            raise StopIteration
        if self._thread.ident is None:
            self._thread.start()
        item = self._queue.get()
        if isinstance(item, str):
            return item
        self._ended = True
        if item is None:
            raise StopIteration
        self._thread.join()
        if isinstance(item, BaseException):
            raise item
        self.answer = item
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop generating within one token, and end the iteration.

        A thread that waits for the next piece gets `StopIteration` at once.
        """
        self._cancelled.set()
        self._ended = True
        self._queue.put(None)

    def cancel(self) -> None:
        """Stop generating within one token; the remaining pieces and the cancelled answer are still delivered."""
        self._cancelled.set()


class AsyncAnswerStream:
    """The async counterpart of `AnswerStream`."""

    def __init__(self, generate: Generate) -> None:
        self.answer: Answer | None = None
        self._generate = _in_own_context(generate)
        self._cancelled = Event()
        self._queue: asyncio.Queue[_Item] | None = None
        self._ended = False
        weakref.finalize(self, self._cancelled.set)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while isinstance(piece := await self._next_piece(), ThoughtPiece):
            pass
        return piece

    def pieces(self) -> AsyncIterator[str]:
        """Iterate over the pieces of the thoughts, which are `ThoughtPiece`s, and of the answer, in their order."""
        return _AllPieces(self._next_piece)

    async def _next_piece(self) -> str:
        if self._ended:
            raise StopAsyncIteration
        if self._queue is None:
            self._queue = asyncio.Queue()
            put = _threadsafe_put(asyncio.get_running_loop(), self._queue, self._cancelled)
            _GenerationThread(self._generate, put, self._cancelled).start()
        try:
            item = await self._queue.get()
        except asyncio.CancelledError:
            self._cancelled.set()
            raise
        if isinstance(item, str):
            return item
        self._ended = True
        if isinstance(item, BaseException):
            raise item
        self.answer = item
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop generating within one token, and end the iteration."""
        self._cancelled.set()
        self._ended = True

    def cancel(self) -> None:
        """Stop generating within one token; the remaining pieces and the cancelled answer are still delivered."""
        self._cancelled.set()


def _in_own_context(generate: Generate) -> Generate:
    """Return `generate` with the present context variables; a thread starts without those of its caller."""
    context = copy_context()
    return lambda sink, cancelled: context.run(generate, sink, cancelled)


class _AllPieces(AsyncIterator[str]):
    """Calls for the next piece until it raises `StopAsyncIteration`."""

    def __init__(self, next_piece: Callable[[], Awaitable[str]]) -> None:
        self._next_piece = next_piece

    async def __anext__(self) -> str:
        return await self._next_piece()


class _GenerationThread(Thread):
    """Generates an answer. At exit, running threads are cancelled and joined."""

    _alive: "WeakSet[_GenerationThread]" = WeakSet()

    def __init__(self, generate: Generate, put: Callable[[_Item], None], cancelled: Event) -> None:
        super().__init__(name="sharedllm-answer", daemon=True)
        self._callables = generate, put
        self._cancelled = cancelled

    def start(self) -> None:
        self._alive.add(self)
        super().start()

    def run(self) -> None:
        generate, put = self._callables
        del self._callables  # a finished thread keeps no reference to the engine
        try:
            put(generate(put, self._cancelled))
        except BaseException as error:  # raised in the consumer
            put(error)

    @classmethod
    def stop_all(cls) -> None:
        threads = list(cls._alive)
        for thread in threads:
            thread._cancelled.set()
        for thread in threads:
            thread.join()


atexit.register(_GenerationThread.stop_all)


def _threadsafe_put(
    loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[_Item]", cancelled: Event
) -> Callable[[_Item], None]:
    def put(item: _Item) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, item)
        except RuntimeError:  # the loop is closed, so there is no consumer
            cancelled.set()

    return put

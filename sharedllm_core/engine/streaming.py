"""An answer that arrives piece by piece, written in a thread of its own, so that a slow reader holds up nobody."""

import asyncio
import atexit
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import Self
from weakref import WeakSet

from ..generation.answer import Answer
from ..generation.decoding import Sink

__all__ = ["AnswerStream", "AsyncAnswerStream"]

#: Writes an answer: gives each piece to the sink, and ends early when the event is set.
Writer = Callable[[Sink, Event], Answer]
_Item = str | Answer | BaseException


class AnswerStream:
    """The pieces of an answer, in order; joined they are `answer.text`.

    Leaving it (`close`, the end of a `with`, or letting go of it) stops the model within one token.

    Attributes:
        answer: the whole answer with usage and evidence, once the last piece has come; before, `None`.
    """

    def __init__(self, write: Writer) -> None:
        self.answer: Answer | None = None
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()  # `None` when it was closed
        self._cancelled = Event()
        self._ended = False
        # The thread knows the queue and not the stream: so the stream can be let go of while it is being written.
        self._thread = _WritingThread(write, self._queue.put, self._cancelled)
        weakref.finalize(self, self._cancelled.set)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
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
        """Stop writing, within one token. What has come so far stays what it is; no more comes.

        Who waits for a piece, in another thread, is told at once.
        """
        self._cancelled.set()
        self._ended = True
        self._queue.put(None)

    def cancel(self) -> None:
        """Stop writing, within one token; the last pieces and the answer, cancelled, still come."""
        self._cancelled.set()


class AsyncAnswerStream:
    """`AnswerStream` for asyncio."""

    def __init__(self, write: Writer) -> None:
        self.answer: Answer | None = None
        self._write = write
        self._cancelled = Event()
        self._queue: asyncio.Queue[_Item] | None = None
        self._ended = False
        weakref.finalize(self, self._cancelled.set)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._ended:
            raise StopAsyncIteration
        if self._queue is None:
            self._queue = asyncio.Queue()
            give = _into(asyncio.get_running_loop(), self._queue, self._cancelled)
            _WritingThread(self._write, give, self._cancelled).start()
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
        """Stop writing, within one token; no more comes."""
        self._cancelled.set()
        self._ended = True

    def cancel(self) -> None:
        """Stop writing, within one token; the last pieces and the answer, cancelled, still come."""
        self._cancelled.set()


class _WritingThread(Thread):
    """Writes an answer. When the process ends, the threads that still write are stopped first, and waited for."""

    _alive: "WeakSet[_WritingThread]" = WeakSet()

    def __init__(self, write: Writer, give: Callable[[_Item], None], cancelled: Event) -> None:
        super().__init__(name="sharedllm-answer", daemon=True)
        self._writing = write, give
        self._cancelled = cancelled

    def start(self) -> None:
        self._alive.add(self)
        super().start()

    def run(self) -> None:
        write, give = self._writing
        del self._writing
        try:
            give(write(give, self._cancelled))
        except BaseException as error:  # it belongs to whoever reads
            give(error)

    @classmethod
    def stop_all(cls) -> None:
        threads = list(cls._alive)
        for thread in threads:
            thread._cancelled.set()
        for thread in threads:
            thread.join()


atexit.register(_WritingThread.stop_all)


def _into(loop: asyncio.AbstractEventLoop, queue: "asyncio.Queue[_Item]", cancelled: Event) -> Callable[[_Item], None]:
    def give(item: _Item) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody reads any more
            cancelled.set()

    return give

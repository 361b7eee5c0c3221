"""The four ways of asking an engine, each of which is given up after a time limit, or when nobody waits any more."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from threading import Timer
from time import monotonic
from weakref import WeakKeyDictionary

from sharedllm_core import Answer, SharedLLMEngine

from ._batching import Ask, Batcher

__all__ = ["aanswer", "answer", "astream", "stream"]

_batchers: "WeakKeyDictionary[SharedLLMEngine, Batcher]" = WeakKeyDictionary()


def answer(engine: SharedLLMEngine, ask: Ask, timeout: float | None) -> Answer:
    """Answer, side by side with what else is asked at the same time.

    Raises:
        TimeoutError: there is no answer after so many seconds.
    """
    waiting = _batcher(engine).submit(ask)
    try:
        return waiting.result(timeout)
    except FutureTimeoutError:
        if waiting.done():
            raise
        raise _too_late(timeout) from None
    finally:
        ask.cancelled.set()


async def aanswer(engine: SharedLLMEngine, ask: Ask, timeout: float | None) -> Answer:
    """`answer` for asyncio."""
    waiting = asyncio.wrap_future(_batcher(engine).submit(ask))
    try:
        return await asyncio.wait_for(waiting, timeout)
    except TimeoutError:
        raise _too_late(timeout) from None
    finally:
        ask.cancelled.set()


def stream(engine: SharedLLMEngine, ask: Ask, timeout: float | None) -> Generator[str | Answer, None, None]:
    """The pieces of an answer, and then the answer."""
    until = float("inf") if timeout is None else monotonic() + timeout
    with engine.stream(ask.messages, ask.library, **ask.options) as pieces, _after(until, pieces.close):
        for piece in pieces:
            if monotonic() > until:
                raise _too_late(timeout)
            yield piece
        if pieces.answer is None:  # it was closed, perhaps while it read, or waited for its turn
            raise _too_late(timeout)
        yield pieces.answer


async def astream(engine: SharedLLMEngine, ask: Ask, timeout: float | None) -> AsyncGenerator[str | Answer, None]:
    """`stream` for asyncio."""
    until = float("inf") if timeout is None else monotonic() + timeout
    async with engine.astream(ask.messages, ask.library, **ask.options) as pieces:
        while True:
            try:
                # Around each piece alone: what the reader does in between must not be cancelled.
                async with asyncio.timeout(None if timeout is None else until - monotonic()):
                    piece = await anext(pieces, None)
            except TimeoutError:
                raise _too_late(timeout) from None
            if piece is None:
                break
            yield piece
        assert pieces.answer is not None
        yield pieces.answer


@contextmanager
def _after(until: float, call: Callable[[], None]) -> Iterator[None]:
    """Call in another thread when it is so late, if this has not ended by then."""
    if until == float("inf"):
        yield
        return
    timer = Timer(max(until - monotonic(), 0), call)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _batcher(engine: SharedLLMEngine) -> Batcher:
    return _batchers.setdefault(engine, Batcher(engine))


def _too_late(timeout: float | None) -> TimeoutError:
    return TimeoutError(f"no answer within timeout={timeout} seconds; allow more, or read documents first")

"""Serving a request: whole or streamed, blocking or for asyncio, within its timeout and until it is cancelled."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from threading import Timer
from time import monotonic
from weakref import WeakKeyDictionary

from sharedllm_core import Answer, SharedLLMEngine
from sharedllm_core.engine.cut_off_warning import cut_off_wording

from .errors import WORDING, worded_errors
from .request import Request

__all__ = ["aanswer", "answer", "astream", "stream"]

_MOST_CALLS = 8  # of an engine at the same time; the engine decodes them together

_threads: "WeakKeyDictionary[SharedLLMEngine, ThreadPoolExecutor]" = WeakKeyDictionary()


@worded_errors()
def answer(request: Request) -> Answer:
    """Answer a request; the engine decodes it together with those that are there.

    Raises:
        TimeoutError: there is no answer within `request.timeout`.
    """
    future = _submit(request)
    try:
        return future.result(request.timeout)
    except FutureTimeoutError:
        if future.done():
            raise
        raise _timeout_error(request.timeout) from None
    finally:
        request.cancelled.set()
        future.cancel()


async def aanswer(request: Request) -> Answer:
    """`answer` for asyncio."""
    with worded_errors():
        future = asyncio.wrap_future(_submit(request))
        try:
            return await asyncio.wait_for(future, request.timeout)
        except TimeoutError:
            raise _timeout_error(request.timeout) from None
        finally:
            request.cancelled.set()


def stream(request: Request) -> Generator[str | Answer, None, None]:
    """Yield the pieces of an answer and of the thoughts before it, and then the answer.

    Raises:
        TimeoutError: the answer is not complete within `request.timeout`.
    """
    timeout = request.timeout
    deadline = float("inf") if timeout is None else monotonic() + timeout
    with worded_errors():
        with cut_off_wording(WORDING):
            stream = request.engine.stream(request.messages, request.library, **request.options)
        with stream, _called_at(deadline, stream.close):
            for piece in stream.pieces():
                if monotonic() > deadline:
                    raise _timeout_error(timeout)
                yield piece
            if stream.answer is None:  # the timer closed it, perhaps during prefill or while it waited for the model
                raise _timeout_error(timeout)
            yield stream.answer


async def astream(request: Request) -> AsyncGenerator[str | Answer, None]:
    """`stream` for asyncio."""
    timeout = request.timeout
    deadline = float("inf") if timeout is None else monotonic() + timeout
    with worded_errors():
        with cut_off_wording(WORDING):
            answer_stream = request.engine.astream(request.messages, request.library, **request.options)
        async with answer_stream as stream:
            pieces = stream.pieces()
            while True:
                try:
                    # Around each piece alone: what the consumer does in between must not be cancelled.
                    async with asyncio.timeout(None if timeout is None else deadline - monotonic()):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise _timeout_error(timeout) from None
                if piece is None:
                    break
                yield piece
            assert stream.answer is not None
            yield stream.answer


@contextmanager
def _called_at(deadline: float, call: Callable[[], None]) -> Iterator[None]:
    """Call `call` from another thread at the deadline, unless the block has ended by then."""
    if deadline == float("inf"):
        yield
        return
    timer = Timer(max(deadline - monotonic(), 0), call)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _submit(request: Request) -> "Future[Answer]":
    """Ask the engine in another thread, so that the caller can give up."""
    if (threads := _threads.get(request.engine)) is None:
        threads = _threads.setdefault(request.engine, ThreadPoolExecutor(_MOST_CALLS, "sharedllm-calls"))
    return threads.submit(_ask, request)


def _ask(request: Request) -> Answer:
    with cut_off_wording(WORDING):
        return request.engine.ask(request.messages, request.library, cancelled=request.cancelled, **request.options)


def _timeout_error(timeout: float | None) -> TimeoutError:
    return TimeoutError(f"no answer within timeout={timeout} seconds; allow more, or read documents first")

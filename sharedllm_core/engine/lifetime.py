"""The running calls, streams and threads of an engine, and how closing it ends them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from weakref import WeakSet

from ..errors import InputError
from .streaming import AnswerStream, AsyncAnswerStream

__all__ = ["Lifetime"]

_MAX_THREADS = 32  # for async calls


class Lifetime:
    """The threads of an engine's async calls, and the calls and streams that closing the engine cancels.

    Attributes:
        threads: thread pool of the async methods.
    """

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="sharedllm-engine")
        self._running: WeakSet[Event | AnswerStream | AsyncAnswerStream] = WeakSet()
        self._closed = False

    def check_open(self) -> None:
        """Check that the engine is open.

        Raises:
            InputError: it was closed.
        """
        if self._closed:
            raise InputError("the engine is closed", remedy="make another one, or ask inside its `with` block")

    def cancellation(self, cancelled: Event | None) -> Event:
        """Return the event that cancels a call: the caller's, or a new one. Closing the engine sets it."""
        event = Event() if cancelled is None else cancelled
        self._running.add(event)
        return event

    def add(self, stream: AnswerStream | AsyncAnswerStream) -> None:
        """Register a stream that closing the engine cancels."""
        self._running.add(stream)

    def close(self) -> None:
        """Cancel running calls and streams, and wait for the threads to end."""
        self._closed = True
        for running in list(self._running):
            if isinstance(running, Event):
                running.set()
            else:
                running.cancel()
        self.threads.shutdown(wait=True)

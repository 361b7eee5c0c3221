"""`FairLock`: a lock that waiting threads acquire in first-come, first-served order."""

from collections import deque
from threading import Lock
from types import TracebackType

__all__ = ["FairLock"]


class FairLock:
    """A lock without starvation: a thread that releases it queues behind the waiting ones. Use it in a `with` block."""

    def __init__(self) -> None:
        self._state = Lock()
        self._held = False
        self._waiting: deque[Lock] = deque()

    def __enter__(self) -> None:
        with self._state:
            if not self._held:
                self._held = True
                return
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            turn.acquire()  # blocks until the current holder releases
        except BaseException:  # an interrupt: leave the queue, or release the lock if it was just acquired
            with self._state:
                queued = turn in self._waiting
                if queued:
                    self._waiting.remove(turn)
            if not queued:
                self._release()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._release()

    def _release(self) -> None:
        with self._state:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

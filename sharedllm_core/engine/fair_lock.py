"""`FairLock`: a lock that is given to those who wait for it in the order in which they came."""

from collections import deque
from threading import Lock
from types import TracebackType

__all__ = ["FairLock"]


class FairLock:
    """First come, first served, whoever holds it longest or asks for it most often. Use it with `with`."""

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
            turn.acquire()  # until the holder before hands over
        except BaseException:  # an interrupt: leave the queue, or pass on what was just handed over
            with self._state:
                gone = turn in self._waiting
                if gone:
                    self._waiting.remove(turn)
            if not gone:
                self._hand_over()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hand_over()

    def _hand_over(self) -> None:
        with self._state:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

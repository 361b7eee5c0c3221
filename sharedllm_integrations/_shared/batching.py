"""Requests that arrive together are answered in one batch.

Frameworks hand a batch over as calls from many threads. Each call queues its request; a thread per engine takes the
oldest request and, with it, those queued behind it that have the same options.
"""

from concurrent.futures import Future
from threading import Event, Lock, Thread
from time import monotonic
from weakref import ref

from sharedllm_core import Answer, SharedLLMEngine
from sharedllm_core.engine.cut_off_warning import cut_off_wording

from .errors import WORDING
from .request import Request

__all__ = ["Batcher"]

_BATCH_ROWS = 8
_WAIT_SECONDS = 0.005  # for requests that were sent together with the first one


class _AllCancelled(Event):
    """Set once every request of a batch is cancelled, or the engine is closed."""

    def __init__(self, batch: list[Request]) -> None:
        super().__init__()
        self._batch = batch

    def is_set(self) -> bool:
        return super().is_set() or all(request.cancelled.is_set() for request in self._batch)


class Batcher:
    """The queue of one engine. It does not keep the engine alive."""

    def __init__(self, engine: SharedLLMEngine) -> None:
        self._engine_ref = ref(engine)
        self._queue: list[Request] = []
        self._lock = Lock()
        self._arrived = Event()
        self._serving = False

    def submit(self, request: Request) -> "Future[Answer]":
        """Queue a request, and return the future of its answer. Setting `request.cancelled` cancels it."""
        with self._lock:
            self._queue.append(request)
            self._arrived.set()
            if not self._serving:
                self._serving = True
                # Not a daemon: one that still released tensors when the process ends would abort it.
                Thread(target=self._serve, name="sharedllm-batches").start()
        return request.answer

    @property
    def _engine(self) -> SharedLLMEngine:
        engine = self._engine_ref()
        assert engine is not None, "a request in the queue holds it"
        return engine

    def _serve(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                with cut_off_wording(WORDING):
                    self._answer(batch)
            except BaseException as error:  # it belongs to the callers
                for request in batch:
                    if not request.answer.done():
                        request.answer.set_exception(error)

    def _next_batch(self) -> list[Request] | None:
        """Take the next requests from the queue, without cancelled ones; `None` when the queue is empty."""
        deadline = monotonic() + _WAIT_SECONDS
        while len(self._queue) < _BATCH_ROWS and (left := deadline - monotonic()) > 0:
            self._arrived.clear()
            if not self._arrived.wait(left):
                break
        with self._lock:
            self._queue = [request for request in self._queue if not request.cancelled.is_set()]
            if not self._queue:
                self._serving = False
                return None
            first = self._queue[0]
            batch = [request for request in self._queue if request.options == first.options][:_BATCH_ROWS]
            self._queue = [request for request in self._queue if request not in batch]
        # From here on the future cannot be cancelled, only the generation by its event.
        return [request for request in batch if request.answer.set_running_or_notify_cancel()]

    def _answer(self, batch: list[Request]) -> None:
        if len(batch) == 1 or not self._answer_together(batch):
            for request in batch:
                self._answer_alone(request)

    def _answer_together(self, batch: list[Request]) -> bool:
        """Answer in one batch; an invalid request fails alone, and the others go on.

        Returns:
            Whether every request has its result; if not, each must be answered alone.
        """
        try:
            self._run_batch(batch)
        except Exception:  # checking each request finds the invalid ones without running the model
            valid = [request for request in batch if self._is_valid(request)]
            if len(valid) == len(batch):
                return False
            if valid:
                self._answer(valid)
        return True

    def _run_batch(self, batch: list[Request]) -> None:
        answers = self._engine.ask_batch(
            [request.messages for request in batch],
            libraries=[request.library for request in batch],
            cancelled=_AllCancelled(batch),
            **batch[0].options,
        )
        for request, answer in zip(batch, answers, strict=True):
            request.answer.set_result(answer)

    def _is_valid(self, request: Request) -> bool:
        try:
            self._engine.stream(request.messages, request.library, **request.options).close()  # checks input at once
        except Exception as error:
            request.answer.set_exception(error)
            return False
        return True

    def _answer_alone(self, request: Request) -> None:
        try:
            answer = self._engine.ask(request.messages, request.library, cancelled=request.cancelled, **request.options)
            request.answer.set_result(answer)
        except Exception as error:
            request.answer.set_exception(error)

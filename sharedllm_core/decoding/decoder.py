"""`Decoder`: decodes the answers of all callers of a model together, in a thread that ends when no answer is left.

Requests join in the order in which they came, as soon as there is room, between two tokens of those that are there. The
model's lock is taken for one step at a time, so that documents are read between the tokens of answers. Where a model
keeps more of a text than keys and values of every token, those that wait are decoded together from beginning to end.
"""

import atexit
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from threading import Event, Lock, Thread
from weakref import WeakSet

from transformers import PreTrainedModel

from .padding import supports_padding
from .row_batch import RowBatch, can_join
from .rows import AnswerRow
from .whole_batch import generate_rows

__all__ = ["Decoder"]

_MOST_ROWS = 8  # that are decoded together, unless one request has more


class _Request:
    """Rows of one call, which join together."""

    def __init__(self, rows: Sequence[AnswerRow]) -> None:
        self.rows = list(rows)
        self.ended = Event()

    @property
    def is_cancelled(self) -> bool:
        return all(row.cancelled.is_set() for row in self.rows)

    def cancel(self) -> None:
        for row in self.rows:
            row.cancelled.set()


class Decoder:
    """See the module.

    Args:
        model: decodes.
        lock: held while the model runs.
        most_rows: that are decoded together; a request with more rows is decoded alone.

    Attributes:
        joins: whether a request joins those that are being decoded; if not, it waits until they have ended.
    """

    _all: "WeakSet[Decoder]" = WeakSet()

    def __init__(self, model: PreTrainedModel, lock: AbstractContextManager[None], most_rows: int = _MOST_ROWS) -> None:
        self.joins = can_join(model)
        self._model = model
        self._lock = lock
        self._most_rows = most_rows
        self._state = Lock()  # of the three below
        self._waiting: deque[_Request] = deque()
        self._joined: list[_Request] = []
        self._thread: Thread | None = None
        self._all.add(self)

    def decode(self, rows: Sequence[AnswerRow]) -> None:
        """Generate the answers of rows; returns when all have ended.

        Raises:
            Exception: what the model or a sink raised. Answers of other callers go on, unless a step of all failed.
        """
        self._wait(_Request(rows))
        if error := next((row.error for row in rows if row.error is not None), None):
            raise error

    def _wait(self, request: _Request) -> None:
        with self._state:
            self._waiting.append(request)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="sharedllm-decoder", daemon=True)
                self._thread.start()
        try:
            request.ended.wait()
        except BaseException:  # an interrupt: the rows leave before the next token
            request.cancel()
            raise

    def _run(self) -> None:
        """Decode until no request is left."""
        batch = RowBatch(self._model)
        while True:
            with self._state:
                joining = self._admitted(len(batch.rows))
                self._joined += joining
                if not self._joined:
                    self._thread = None
                    return
            if not self.joins:
                self._generate([row for request in joining for row in request.rows if not row.cancelled.is_set()])
                self._dismiss(batch)
                continue
            try:
                for request in joining:
                    self._join(batch, request)
                self._step(batch)
            except Exception as error:  # what the rows have in common is lost
                self._fail(error)
                batch = RowBatch(self._model)
            self._dismiss(batch)

    def _generate(self, rows: Sequence[AnswerRow]) -> None:
        """Decode rows from beginning to end, together where the model ignores padding."""
        groups = [rows] if supports_padding(self._model) else [[row] for row in rows]
        for group in filter(None, groups):
            try:
                with self._lock:
                    generate_rows(self._model, group)
            except Exception as error:
                for row in group:
                    row.error = error

    def _admitted(self, present: int) -> list[_Request]:
        """Take the requests that join now, the first ones first; cancelled ones need no room."""
        joining = []
        while self._waiting:
            count = len(self._waiting[0].rows)
            if present and present + count > self._most_rows:
                break
            joining.append(self._waiting.popleft())
            present += count
        cancelled = [request for request in self._waiting if request.is_cancelled]
        for request in cancelled:
            self._waiting.remove(request)
        return joining + cancelled

    def _join(self, batch: RowBatch, request: _Request) -> None:
        rows = [row for row in request.rows if not row.cancelled.is_set()]
        if not rows:
            return
        with self._lock:
            try:
                read = batch.read(rows)
            except Exception as error:  # such as too little memory for these prompts
                for row in rows:
                    row.error = error
                return
            for prompts in read:
                batch.add(prompts)

    def _step(self, batch: RowBatch) -> None:
        batch.leave([row for row in batch.rows if row.cancelled.is_set()])
        if batch.rows:
            with self._lock:
                batch.step()

    def _fail(self, error: Exception) -> None:
        """Let every answer fail that has not ended, also of requests that were about to join."""
        for row in (row for request in self._joined for row in request.rows):
            if row.answer.finish_reason is None and row.error is None:
                row.error = error

    def _dismiss(self, batch: RowBatch) -> None:
        """Let the callers go on whose rows have all left."""
        present = {id(row) for row in batch.rows}
        with self._state:
            ended = [one for one in self._joined if not any(id(row) in present for row in one.rows)]
            self._joined = [one for one in self._joined if one not in ended]
        for request in ended:
            for row in request.rows:
                row.end()
            request.ended.set()

    @classmethod
    def stop_all(cls) -> None:
        """Cancel all answers, and wait for the threads to end."""
        for decoder in list(cls._all):
            with decoder._state:
                thread = decoder._thread
                for request in (*decoder._waiting, *decoder._joined):
                    request.cancel()
            if thread is not None:
                thread.join()


atexit.register(Decoder.stop_all)

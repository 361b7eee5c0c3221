"""Questions that arrive together are answered side by side, whoever asks them.

Frameworks hand a batch over as calls in many threads. Here calls wait for their turn in one line; whoever is served
takes those behind him along that ask in the same way.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any
from weakref import ref

from sharedllm_core import Answer, Library, SharedLLMEngine

__all__ = ["Ask", "Batcher"]

_ROWS = 8
_WAIT_SECONDS = 0.005  # for others that were sent off together with the first one


@dataclass(eq=False)
class Ask:
    """One question with its library and options, and what will become of it."""

    messages: list[dict[str, Any]]
    library: Library | None
    options: Mapping[str, Any]
    cancelled: Event = field(default_factory=Event)
    answer: "Future[Answer]" = field(default_factory=Future)


class _AllGivenUp(Event):
    """Set once nobody waits any more for what is answered side by side."""

    def __init__(self, group: list[Ask]) -> None:
        super().__init__()
        self._group = group

    def is_set(self) -> bool:
        return all(ask.cancelled.is_set() for ask in self._group)


class Batcher:
    """The line before one engine, which lives as long as somebody else needs it."""

    def __init__(self, engine: SharedLLMEngine) -> None:
        self._engine_of = ref(engine)
        self._line: list[Ask] = []
        self._lock = Lock()
        self._arrived = Event()
        self._serving = False

    def submit(self, ask: Ask) -> "Future[Answer]":
        """Stand in line. Setting `ask.cancelled` gives up the answer."""
        with self._lock:
            self._line.append(ask)
            self._arrived.set()
            if not self._serving:
                self._serving = True
                # No daemon: one that still let go of tensors when the process ends would abort it.
                Thread(target=self._serve, name="sharedllm-batches").start()
        return ask.answer

    @property
    def _engine(self) -> SharedLLMEngine:
        engine = self._engine_of()
        assert engine is not None, "whoever waits for an answer holds it"
        return engine

    def _serve(self) -> None:
        while (group := self._next_group()) is not None:
            try:
                self._answer(group)
            except BaseException as error:  # it belongs to whoever asked
                for ask in group:
                    if not ask.answer.done():
                        ask.answer.set_exception(error)

    def _next_group(self) -> list[Ask] | None:
        """Who is served next, which may be nobody who still waits; `None` when the line is empty."""
        until = monotonic() + _WAIT_SECONDS
        while len(self._line) < _ROWS and (left := until - monotonic()) > 0:
            self._arrived.clear()
            if not self._arrived.wait(left):
                break
        with self._lock:
            self._line = [ask for ask in self._line if not ask.cancelled.is_set()]
            if not self._line:
                self._serving = False
                return None
            first = self._line[0]
            group = [ask for ask in self._line if ask.options == first.options][:_ROWS]
            self._line = [ask for ask in self._line if ask not in group]
        # From here on an answer cannot be taken back, only be given up by its event.
        return [ask for ask in group if ask.answer.set_running_or_notify_cancel()]

    def _answer(self, group: list[Ask]) -> None:
        if len(group) == 1 or not self._together(group):
            for ask in group:
                self._alone(ask)

    def _together(self, group: list[Ask]) -> bool:
        """Answer side by side; whether that went well. Who asks what cannot be answered is told, and spoils nothing."""
        try:
            self._side_by_side(group)
        except Exception:  # which one it is shows when each is looked at alone, for which the model does not run
            good = [ask for ask in group if self._can_be_asked(ask)]
            if len(good) == len(group):
                return False
            if good:
                self._answer(good)
        return True

    def _side_by_side(self, group: list[Ask]) -> None:
        answers = self._engine.ask_batch(
            [ask.messages for ask in group],
            libraries=[ask.library for ask in group],
            cancelled=_AllGivenUp(group),
            **group[0].options,
        )
        for ask, answer in zip(group, answers, strict=True):
            ask.answer.set_result(answer)

    def _can_be_asked(self, ask: Ask) -> bool:
        try:
            self._engine.stream(ask.messages, ask.library, **ask.options).close()  # wrong input raises before it runs
        except Exception as error:
            ask.answer.set_exception(error)
            return False
        return True

    def _alone(self, ask: Ask) -> None:
        try:
            ask.answer.set_result(self._engine.ask(ask.messages, ask.library, cancelled=ask.cancelled, **ask.options))
        except Exception as error:
            ask.answer.set_exception(error)

"""`System`: a program that answers questions about files, the processes that it runs in, and what is measured of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

__all__ = ["NEW_TOKENS", "FirstToken", "MeasuredProcess", "System"]

NEW_TOKENS = 8  # of each answer; only the first is timed


@dataclass(frozen=True)
class FirstToken:
    """The first token of an answer.

    Attributes:
        seconds: from the question to the token; new files are read within them.
        computed_tokens: tokens of the prompt whose states were computed.
        cached_tokens: tokens of the prompt whose states were in a cache.
    """

    seconds: float
    computed_tokens: int
    cached_tokens: int = 0

    def after(self, seconds: float) -> Self:
        """Return the same with so many seconds before it."""
        return replace(self, seconds=seconds + self.seconds)


class MeasuredProcess(ABC):
    """A process that holds a model."""

    @abstractmethod
    def start(self) -> None:
        """Start the process, load the weights and run the model once."""

    @abstractmethod
    def close(self) -> None:
        """End the process; nothing happens where it does not run."""

    @property
    @abstractmethod
    def peak_bytes(self) -> int:
        """The most memory that the process has used since its start; 0 where the operating system does not tell."""

    def save(self) -> int:
        """Store the states of the last prompt for a new process; returns bytes on disk, 0 if there is no such store."""
        return 0

    def restore(self) -> None:  # noqa: B027 (optional, as `save` is)
        """Load the states that `save` stored."""


@dataclass(frozen=True)
class System:
    """A way to answer questions about files.

    Attributes:
        name: in tables; says what the model sees of the documents.
        processes: that it needs; the first is the one whose memory and states are measured.
        first_token: answers a question about files, whose paths are relative to the folder of the run and in the order
            of the documents; raises `WindowError` where the prompt does not fit.
    """

    name: str
    processes: tuple[MeasuredProcess, ...]
    first_token: Callable[[Sequence[str], str], FirstToken]

    def start(self) -> None:
        """Start all processes."""
        for process in self.processes:
            process.start()

    def close(self) -> None:
        """End all processes."""
        for process in self.processes:
            process.close()

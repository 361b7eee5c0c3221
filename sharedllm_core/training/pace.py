"""How fast a run goes, and when it will end."""

import time

from torch import Tensor

from .items import NO_LOSS

__all__ = ["Pace", "count_answers"]


class Pace:
    """Counts questions and steps since the last report."""

    def __init__(self) -> None:
        self._questions = 0
        self._step: int | None = None
        self._since = time.monotonic()

    def add(self, questions: int) -> None:
        """Count questions that were answered."""
        self._questions += questions

    def report(self, step: int, steps: int) -> dict[str, float]:
        """Return what has been done since the last report, for the log.

        Args:
            step: how many steps are done.
            steps: of the run.

        Returns:
            `questions_per_second`; and, from the second report on, `minutes_left`.
        """
        now = time.monotonic()
        seconds = max(now - self._since, 1e-9)
        found = {"questions_per_second": round(self._questions / seconds, 3)}
        if self._step is not None and step > self._step:
            found["minutes_left"] = round((steps - step) * seconds / (step - self._step) / 60, 1)
        self._questions, self._step, self._since = 0, step, now
        return found


def count_answers(labels_BT: Tensor) -> int:
    """Count the runs of tokens that have a loss: the answers of a batch."""
    has_loss = labels_BT != NO_LOSS
    return int(has_loss[:, 0].sum() + (has_loss[:, 1:] & ~has_loss[:, :-1]).sum())

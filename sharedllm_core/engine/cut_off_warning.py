"""One warning per process and model where an answer ended at a token budget that nobody chose.

A budget that a caller sets is the caller's choice, and `finish_reason` reports that it was used up. The default is not,
and neither is a budget that thoughts used up before the answer began.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

from ..decoding.answer_text import DecodedAnswer
from ..errors import PYTHON, CutOffWarning, Wording, setting
from ..generation.settings import AnswerSettings

__all__ = ["cut_off_wording", "warn_cut_off"]

_lock = Lock()
_warned_models: set[str] = set()
_wording: ContextVar[Wording] = ContextVar("wording of cut-off warnings", default=PYTHON)


@contextmanager
def cut_off_wording(wording: Wording) -> Iterator[None]:
    """Let warnings about questions that are asked in the block name settings as `wording` does."""
    token = _wording.set(wording)
    try:
        yield
    finally:
        _wording.reset(token)


def warn_cut_off(decoded: Sequence[DecodedAnswer], settings: AnswerSettings, new_tokens: int, model_name: str) -> None:
    """Warn if the default token budget, or thoughts that used up any budget, cut off one of these answers.

    Args:
        decoded: the answers of a batch.
        settings: of the batch.
        new_tokens: the token budget of each answer.
        model_name: only the first warning of a process about a model is given.
    """
    cut_off = [answer for answer in decoded if answer.finish_reason == "length"]
    if any(answer.thoughts.text and not (answer.text or answer.calls) for answer in cut_off):
        what = f"the model {model_name} was still thinking after {new_tokens:,} tokens, so its answer has no text"
    elif cut_off and settings.max_new_tokens is None:
        what = (
            f"an answer of the model {model_name} was cut off after {new_tokens:,} tokens, the default of "
            f"{setting('max_new_tokens')}"
        )
    else:
        return
    warning = CutOffWarning(what, remedy=f"raise {setting('max_new_tokens')}")
    warning.wording = _wording.get()
    with _lock:
        if model_name in _warned_models:
            return
        _warned_models.add(model_name)
    try:
        warnings.warn(warning, stacklevel=4)
    except CutOffWarning:  # a filter turns it into an error, which every call has to raise
        with _lock:
            _warned_models.discard(model_name)
        raise

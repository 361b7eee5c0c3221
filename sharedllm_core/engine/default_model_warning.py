"""One warning per process where the model of the package is used without being named."""

import warnings
from threading import Lock

from ..errors import PYTHON, DefaultModelWarning, Wording, setting
from .model_names import LOOKUP, SMOLLM2

__all__ = ["warn_default_model"]

_given = Lock()  # held from the first warning on


def warn_default_model(wording: Wording = PYTHON) -> None:
    """Warn that no model was named; only the first call of a process warns.

    Args:
        wording: how the setting `model` is named where the model is chosen.
    """
    if not _given.acquire(blocking=False):
        return
    warning = DefaultModelWarning(
        "no model was named, so the look-up model of this package is used: a small model trained on synthetic facts, "
        "for trying the library and not for real questions",
        remedy=[
            f"name another, such as {setting('model', SMOLLM2)} or the folder or hub id of a causal model",
            f"name this one with {setting('model', LOOKUP)}",
        ],
    )
    warning.wording = wording
    try:
        warnings.warn(warning, stacklevel=3)
    except DefaultModelWarning:  # a filter turns it into an error, which every call has to raise
        _given.release()
        raise

"""One warning per process where no model was named, and the default one is used."""

import warnings
from threading import Lock

from ..errors import PYTHON, DefaultModelWarning, Wording, setting
from .model_names import READER

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
        "no model was named, so the reader of this package is used: a model of 135 million parameters, for trying the "
        "library, which answers many questions wrongly",
        remedy=[
            f"name another with {setting('model')}, by the folder or hub id of a causal model",
            f"name this one with {setting('model', READER)}",
        ],
    )
    warning.wording = wording
    try:
        warnings.warn(warning, stacklevel=3)
    except DefaultModelWarning:  # a filter turns it into an error, which every call has to raise
        _given.release()
        raise

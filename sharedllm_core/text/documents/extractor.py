"""What a process that extracts texts of files does: a path in, its text or its error out, until its input ends."""

import os
import pickle
import signal
import sys

from ...errors import DocumentError
from .extracted import Extracted
from .formats import extract_text

__all__ = ["serve"]


def serve() -> None:
    """Answer pickled paths on standard input with pickled outcomes on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's: it ends this process
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a parser prints must not stand between replies
    while True:
        try:
            path = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by this package
        except EOFError:
            return
        outcome: Extracted | DocumentError | ImportError | OSError
        try:
            outcome = extract_text(path)
        except (DocumentError, ImportError, OSError) as error:
            outcome = error.with_traceback(None)
        pickle.dump(outcome, replies)
        replies.flush()

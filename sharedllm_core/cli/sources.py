"""Documents for a command. They are loaded before the model, so that a mistyped path is reported at once."""

import sys
from collections.abc import Sequence

import typer

from ..errors import DocumentError
from ..text.documents import Document
from ..text.documents.reading import ReadResult, read_documents
from ..text.documents.streams import read_stream
from .options import STANDARD_INPUT, DocumentOptions
from .output import counted, say

__all__ = ["load_documents"]

_STANDARD_INPUT_ID = "standard input"


def load_documents(docs: Sequence[str], options: DocumentOptions) -> ReadResult:
    """Read the documents of paths and globs; files that were skipped are named on standard error.

    Args:
        docs: paths and globs; `-` is standard input, read to its end as one document.
        options: of the command.

    Raises:
        DocumentError: a path that does not exist, a file that cannot be read, or none at all.
    """
    if not all(docs):
        raise typer.BadParameter("a path is empty; give a file, a folder or a glob", param_hint="--docs")
    found = read_documents(
        [_read_standard_input(options) if path == STANDARD_INPUT else path for path in dict.fromkeys(docs)],
        on_error="skip" if options.skip_unreadable else "raise",
        max_file_bytes=options.max_file_bytes,
    )
    for skipped in found.skipped:
        say(f"skipped {skipped.path}: {skipped.reason}")
    if not found.documents:
        skipped_files = f"; {counted(len(found.skipped), 'file')} could not be read" if found.skipped else ""
        raise DocumentError(
            f"there are no documents in {', '.join(docs)}{skipped_files}", remedy="give other files or folders"
        )
    return found


def _read_standard_input(options: DocumentOptions) -> Document:
    return read_stream(sys.stdin.buffer, _STANDARD_INPUT_ID, options.max_file_bytes)

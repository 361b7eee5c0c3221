"""Documents for a command. They are loaded before the model, so that a mistyped path is reported at once."""

import sys
from collections.abc import Sequence

import typer

from ..engine.progress import FileProgress
from ..errors import DocumentError
from ..text.documents import Document
from ..text.documents.file_text import OnError, ReadWarning
from ..text.documents.reading import ReadResult, read_documents
from ..text.documents.streams import read_stream
from .options import STANDARD_INPUT, DocumentOptions
from .output import counted, print_warning, say

__all__ = ["load_documents"]

_STANDARD_INPUT_ID = "standard input"


def load_documents(docs: Sequence[str], options: DocumentOptions) -> ReadResult:
    """Read the documents of paths and globs.

    Files that were skipped, and what is missing in others or was guessed, are named on standard error.

    Args:
        docs: paths and globs; `-` is standard input, read to its end as one document.
        options: of the command.

    Raises:
        DocumentError: a path that does not exist, a file that cannot be read, or none at all.
    """
    if not all(docs):
        raise typer.BadParameter("a path is empty; give a file, a folder or a glob", param_hint="--docs")
    on_error: OnError = "skip" if options.skip_unreadable else "raise"
    sources: list[str | Document] = []
    piped: list[ReadWarning] = []
    for path in dict.fromkeys(docs):
        if path == STANDARD_INPUT:
            document, piped = read_stream(sys.stdin.buffer, _STANDARD_INPUT_ID, options.max_file_bytes, on_error)
            sources.append(document)
        else:
            sources.append(path)
    with FileProgress(None) as shown:
        found = read_documents(sources, on_error=on_error, max_file_bytes=options.max_file_bytes, progress=shown)
    for skipped in found.skipped:
        say(f"skipped {skipped.path}: {skipped.reason}")
    for warning in [*piped, *found.warnings]:
        print_warning(str(warning))
    if not found.documents:
        skipped_files = f"; {counted(len(found.skipped), 'file')} could not be read" if found.skipped else ""
        raise DocumentError(
            f"there are no documents in {', '.join(docs)}{skipped_files}", remedy="give other files or folders"
        )
    return found

"""Documents for a command. They are loaded before the model, so that a mistyped path is reported at once."""

from collections.abc import Sequence

import typer

from ..errors import DocumentError
from ..text.documents.reading import ReadResult, read_documents
from .options import DocumentOptions
from .output import counted, print_warning, say

__all__ = ["load_documents"]


def load_documents(docs: Sequence[str], options: DocumentOptions) -> ReadResult:
    """Read the documents of paths and globs.

    Files that were skipped, and what is missing in others or was guessed, are named on standard error.

    Raises:
        DocumentError: a path that does not exist, a file that cannot be read, or none at all.
    """
    if not all(docs):
        raise typer.BadParameter("a path is empty; give a file, a folder or a glob", param_hint="--docs")
    found = read_documents(
        docs,
        on_error="skip" if options.skip_unreadable else "raise",
        max_file_bytes=options.max_file_bytes,
    )
    for skipped in found.skipped:
        say(f"skipped {skipped.path}: {skipped.reason}")
    for warning in found.warnings:
        print_warning(str(warning))
    if not found.documents:
        skipped_files = f"; {counted(len(found.skipped), 'file')} could not be read" if found.skipped else ""
        raise DocumentError(
            f"there are no documents in {', '.join(docs)}{skipped_files}", remedy="give other files or folders"
        )
    return found

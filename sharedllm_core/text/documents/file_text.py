"""A file's extracted text as a document, and what is missing in it or was guessed."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...errors import DocumentError, ReadingWarning, setting
from .document import Document
from .extracted import Extracted, ExtractionWarning
from .places import DocumentPlaces

__all__ = ["OnError", "ReadWarning", "document_of_file", "warn_of_losses"]

#: Raise an error for a file that cannot be read, or not in full; or skip such files.
OnError = Literal["raise", "skip"]


@dataclass(frozen=True)
class ReadWarning:
    """What is missing in the text of a file that was read, or was guessed.

    Attributes:
        path: of the file.
        message: a sentence that names the place.
        place: such as `"page 3"`; empty for the whole file.
    """

    path: str
    message: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def document_of_file(
    extracted: Extracted, path: str, metadata: Mapping[str, Any], on_error: OnError
) -> tuple[Document, list[ReadWarning]]:
    """Return a file's text as a document with its places, and the warnings about it.

    Raises:
        DocumentError: text is missing, and `on_error` is `"raise"`.
    """
    found = [one if isinstance(one, ExtractionWarning) else ExtractionWarning(one) for one in extracted.warnings]
    lost = [one for one in found if one.is_loss]
    if lost and on_error != "skip":
        more = f", and so on {len(lost) - 1} more places" if len(lost) > 1 else ""
        raise DocumentError(
            f"{lost[0].message}{more}",
            remedy=["run text recognition first", f"read what is readable with {setting('on_error', 'skip')}"],
        )
    places = DocumentPlaces(tuple(extracted.places), extracted.is_file_text, extracted.double_line_ends)
    document = Document(extracted.text, path, metadata, places)
    return document, [ReadWarning(path, one.message, one.place) for one in found]


def warn_of_losses(found: Sequence[ReadWarning]) -> None:
    """Give one Python warning about all files of a reading, for callers that do not look at the result's warnings."""
    if found:
        more = f" ({len(found) - 1} more in library.warnings)" if len(found) > 1 else ""
        warnings.warn(ReadingWarning(f"{found[0]}{more}"), stacklevel=2)

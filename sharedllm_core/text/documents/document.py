"""`Document`: a text with an id and metadata."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import DocumentError
from ..unicode import well_formed
from .places import DocumentPlaces

__all__ = ["Document"]


@dataclass(frozen=True)
class Document:
    """A text for the past context.

    Attributes:
        text: the full text; lone surrogates are replaced by U+FFFD.
        id: identifies the document in evidence; by default a hash of the text, so that equal texts have equal ids.
        metadata: data of the caller; the model does not see it.
        places: pages, rows, headings or lines of the file that the text was extracted from.

    Raises:
        DocumentError: `text` is not a string.
    """

    text: str
    id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    places: DocumentPlaces = field(default=DocumentPlaces(), repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise DocumentError(f"a document's text is a {type(self.text).__name__}", remedy="give a string")
        object.__setattr__(self, "text", well_formed(self.text))
        object.__setattr__(self, "id", well_formed(self.id))
        if not self.id:
            digest = hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()
            object.__setattr__(self, "id", f"text-{digest[:16]}")

    @property
    def title(self) -> str:
        """What quoted passages name the document by: `metadata["title"]`, or its id."""
        title = self.metadata.get("title")
        return well_formed(title) if isinstance(title, str) and title.strip() else self.id

    def place(self, start: int, end: int) -> str:
        """Name where a span of characters stands in the file: `"page 3"`; empty where that is not known."""
        return self.places.name(self.text, start, end)

    def original(self, start: int, end: int) -> tuple[int, int] | None:
        """Return a span of characters as characters of the file; `None` for a file that is not text."""
        return self.places.original(self.text, start, end)

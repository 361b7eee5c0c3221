"""`Document`: a text with an id and metadata."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import DocumentError

__all__ = ["Document"]


@dataclass(frozen=True)
class Document:
    """A text for the past context.

    Attributes:
        text: the full text.
        id: identifies the document in evidence; by default a hash of the text, so that equal texts have equal ids.
        metadata: data of the caller; the model does not see it.

    Raises:
        DocumentError: `text` is not a string.
    """

    text: str
    id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise DocumentError(f"a document's text is a {type(self.text).__name__}", remedy="give a string")
        if not self.id:
            digest = hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()
            object.__setattr__(self, "id", f"text-{digest[:16]}")

    @property
    def title(self) -> str:
        """What quoted passages name the document by: `metadata["title"]`, or its id."""
        title = self.metadata.get("title")
        return title if isinstance(title, str) and title.strip() else self.id

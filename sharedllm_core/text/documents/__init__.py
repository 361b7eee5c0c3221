"""Documents: text with an id and metadata, loaded from files and folders.

Supports HTML, PDF, Word (docx), CSV and TSV, JSON and notebooks; any other text file, such as Markdown or source code,
is read unchanged.
"""

from .document import Document
from .places import DocumentPlaces
from .reading import ReadResult, ReadWarning, Unreadable, read_documents

__all__ = ["Document", "DocumentPlaces", "ReadResult", "ReadWarning", "Unreadable", "read_documents"]

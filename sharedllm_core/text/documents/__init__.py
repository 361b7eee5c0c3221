"""Documents: text with an id and metadata, loaded from files and folders.

Supports HTML, PDF, Word (docx), CSV and TSV, JSON and notebooks; any other text file, such as Markdown or source code,
is read unchanged.
"""

from .document import Document
from .reading import ReadResult, Unreadable, read_documents

__all__ = ["Document", "ReadResult", "Unreadable", "read_documents"]

"""Documents: text with an id and metadata, loaded from files and folders.

Supports HTML, PDF, Word, RTF, OpenDocument, PowerPoint, EPUB, e-mail, CSV and TSV, JSON and notebooks, and Excel with
the extra `[documents]`; any other text file, such as Markdown or source code, is read unchanged.
"""

from .document import Document
from .file_text import ReadWarning
from .places import DocumentPlaces
from .reading import ReadResult, Unreadable, read_documents

__all__ = ["Document", "DocumentPlaces", "ReadResult", "ReadWarning", "Unreadable", "read_documents"]

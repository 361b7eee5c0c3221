"""Files and folders to documents: text with an id and metadata.

Text, Markdown, source code, HTML, PDF, Word (docx), CSV and TSV, JSON, notebooks; anything else that is text is taken
as it is.
"""

from .document import Document
from .reading import ReadResult, Unreadable, read_documents

__all__ = ["Document", "ReadResult", "Unreadable", "read_documents"]

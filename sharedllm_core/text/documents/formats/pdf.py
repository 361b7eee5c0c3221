"""Text of PDF files."""

import io

from ....errors import DocumentError
from ..extracted import Extracted

__all__ = ["read_pdf"]


def read_pdf(content: bytes) -> Extracted:
    """Extract the text of all pages.

    Raises:
        DocumentError: it is encrypted, or has no text.
    """
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentError("it is encrypted", remedy="save it without a password")
    text = "\n\n".join(page.extract_text() for page in reader.pages)
    if not text.strip():
        raise DocumentError("it holds no text, perhaps pictures of text", remedy="run text recognition first")
    return Extracted(text)

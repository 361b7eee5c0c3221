"""Documents from pipes: standard input, named pipes, and the shell's `<(…)`."""

import tempfile
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from ...errors import DocumentError, setting
from .document import Document
from .formats import extract_text

__all__ = ["read_stream"]

_HEAD_BYTES = 1024
_ZIP_MEMBERS = {"word/document.xml": ".docx", "xl/workbook.xml": ".xlsx", "ppt/presentation.xml": ".pptx"}


def read_stream(stream: BinaryIO, name: str, max_bytes: int) -> Document:
    """Read a stream to its end as one document; its format is recognised by its first bytes.

    Args:
        stream: of bytes; it need not be seekable.
        name: the id of the document.
        max_bytes: size limit.

    Raises:
        DocumentError: there is more than the limit allows, or the content cannot be read.
    """
    content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise DocumentError(
            f"{name} cannot be read: it has more than the {max_bytes:,} bytes allowed",
            remedy=f"raise {setting('max_file_bytes')}",
        )
    with tempfile.TemporaryDirectory(prefix="sharedllm-") as folder:  # readers of some formats need a file
        path = Path(folder) / "content"
        path.write_bytes(content)
        path = path.rename(path.with_suffix(_suffix(path, content[:_HEAD_BYTES])))
        try:
            text = extract_text(path).text
        except DocumentError as error:
            raise DocumentError(f"{name} cannot be read: {error.what}", remedy=error.remedies) from error
    return Document(text=text, id=name, metadata={"path": name, "bytes": len(content)})


def _suffix(path: Path, head: bytes) -> str:
    """The suffix that files of this content have; empty for text."""
    if head.startswith(b"%PDF-"):
        return ".pdf"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return ".html"
    if head.startswith(b"PK"):
        try:
            with ZipFile(path) as archive:
                members = set(archive.namelist())
        except BadZipFile:
            return ""
        return next((suffix for member, suffix in _ZIP_MEMBERS.items() if member in members), "")
    return ""

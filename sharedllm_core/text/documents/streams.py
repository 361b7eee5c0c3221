"""Documents from pipes: standard input, named pipes, and the shell's `<(…)`."""

import tempfile
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from ...errors import DocumentError, setting
from .document import Document
from .file_text import OnError, ReadWarning, document_of_file
from .formats import extract_text

__all__ = ["read_stream"]

_HEAD_BYTES = 1024
_ZIP_MEMBERS = {"word/document.xml": ".docx", "xl/workbook.xml": ".xlsx", "ppt/presentation.xml": ".pptx"}


def read_stream(stream: BinaryIO, name: str, max_bytes: int, on_error: OnError) -> tuple[Document, list[ReadWarning]]:
    """Read a stream to its end as one document; its format is recognised by its first bytes.

    Args:
        stream: of bytes; it need not be seekable.
        name: the id of the document.
        max_bytes: size limit.
        on_error: whether missing text, such as a page that is a picture, is an error or a warning.

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
            extracted = extract_text(path)
            return document_of_file(extracted, name, {"path": name, "bytes": len(content)}, on_error)
        except DocumentError as error:
            raise DocumentError(f"{name} cannot be read: {error.what}", remedy=error.remedies) from error


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

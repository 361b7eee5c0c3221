"""Text of EPUB books."""

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ....errors import DocumentError
from ..extracted import Extracted, ExtractionWarning
from .archives import Archive
from .html import read_html
from .text_builder import TextBuilder

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_epub"]

_PAGES = {"application/xhtml+xml", "text/html"}


def read_epub(content: bytes) -> Extracted:
    """Extract the chapters in reading order; their headings are places.

    Raises:
        DocumentError: it is encrypted, or larger when unpacked than the limit.
    """
    archive = Archive(content)
    container = archive.xml("META-INF/container.xml")
    root_file = None if container is None else container.find(".//{*}rootfile")
    if root_file is None:
        raise ValueError("it names no book")
    book = unquote(root_file.get("full-path", ""))
    package = archive.xml(book)
    if package is None:
        raise ValueError(f"it has no part {book}")
    encrypted = _encrypted_parts(archive)
    builder = TextBuilder()
    for chapter in _chapters(package, posixpath.dirname(book)):
        if chapter in encrypted:
            raise DocumentError("it is encrypted", remedy="use a copy without copy protection")
        if chapter in archive.names:
            builder.add_extracted(read_html(archive.read(chapter)))
        else:
            builder.warnings.append(ExtractionWarning(f"the chapter {chapter} is missing", is_loss=True))
    return builder.extracted()


def _chapters(package: "_Element", folder: str) -> list[str]:
    """The names of the parts with text, in reading order."""
    items = {
        item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in package.iterfind("{*}manifest/{*}item")
        if item.get("media-type") in _PAGES
    }
    references = [reference.get("idref") for reference in package.iterfind("{*}spine/{*}itemref")]
    return [items[reference] for reference in dict.fromkeys(references) if reference in items]


def _encrypted_parts(archive: Archive) -> set[str]:
    root = archive.xml("META-INF/encryption.xml")
    references = () if root is None else root.iter("{*}CipherReference")
    return {unquote(reference.get("URI", "")) for reference in references}

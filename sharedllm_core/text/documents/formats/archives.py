"""Zip archives of XML parts, such as Word files, with limits against those that unpack to far too much."""

import io
import posixpath
import zipfile
from functools import cached_property
from typing import TYPE_CHECKING

from ....errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Archive", "local_name", "parse_xml"]

_MAX_PART_BYTES = 64_000_000  # a parsed part takes up to ten times its size
_MAX_TOTAL_BYTES = 500_000_000
_OLD_OFFICE_FILE = b"\xd0\xcf\x11\xe0"
_STRICT = (
    (b"http://purl.oclc.org/ooxml/officeDocument/", b"http://schemas.openxmlformats.org/officeDocument/2006/"),
    (b"http://purl.oclc.org/ooxml/wordprocessingml/", b"http://schemas.openxmlformats.org/wordprocessingml/2006/"),
)


class Archive:
    """The parts of a zip archive.

    Args:
        content: of the file.

    Raises:
        DocumentError: it is encrypted, in an older format, or unpacks to too much.
        zipfile.BadZipFile: it is not a zip archive.
    """

    def __init__(self, content: bytes) -> None:
        if content.startswith(_OLD_OFFICE_FILE):
            raise DocumentError(
                "it is encrypted, or a file of an older Office", remedy="save it in today's format without a password"
            )
        self._zip = zipfile.ZipFile(io.BytesIO(content))
        infos = self._zip.infolist()
        total = sum(info.file_size for info in infos)  # zipfile unpacks no more of a part than this
        if total > _MAX_TOTAL_BYTES:
            raise DocumentError(f"it unpacks to {total:,} bytes", limit=f"and the limit is {_MAX_TOTAL_BYTES:,}")
        if any(info.flag_bits & 1 for info in infos):
            raise DocumentError("it is encrypted", remedy="save it without a password")

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all parts."""
        return frozenset(self._zip.namelist())

    def read(self, name: str) -> bytes:
        """Read a part.

        Raises:
            KeyError: there is none of this name.
            DocumentError: it is too large.
        """
        size = self._zip.getinfo(name).file_size
        if size > _MAX_PART_BYTES:
            raise DocumentError(
                f"its part {name} has {size:,} bytes", limit=f"and the limit is {_MAX_PART_BYTES:,}", remedy="split it"
            )
        return self._zip.read(name)

    def xml(self, name: str) -> "_Element | None":
        """Read a part of XML; `None` if it does not exist."""
        return parse_xml(self.read(name)) if name in self.names else None

    def relationships(self, name: str) -> dict[str, tuple[str, str]]:
        """The relationships of a part of an Office file: the last word of the type, and the target, by id.

        Targets are names of parts; those outside of the file are addresses.
        """
        folder, file = posixpath.split(name)
        root = self.xml(posixpath.join(folder, "_rels", f"{file}.rels"))
        found = {}
        for relation in () if root is None else root:
            target = relation.get("Target", "")
            if relation.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[relation.get("Id", "")] = (relation.get("Type", "").rpartition("/")[2], target)
        return found

    def main_part(self, usual: str) -> str:
        """The part that holds the document of an Office file.

        Args:
            usual: its name in most files, for those that do not say.

        Raises:
            ValueError: there is none.
        """
        for kind, target in self.relationships("").values():
            if kind == "officeDocument" and target in self.names:
                return target
        if usual in self.names:
            return usual
        raise ValueError(f"it has no part {usual}")


def parse_xml(content: bytes) -> "_Element":
    """Parse XML without its comments; entities are refused, since they can grow without limit.

    Raises:
        DocumentError: it declares entities.
        lxml.etree.XMLSyntaxError: it is not XML.
    """
    from lxml import etree

    for strict, usual in _STRICT:
        content = content.replace(strict, usual)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    root = etree.fromstring(content, parser)
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise DocumentError("its XML declares entities", limit="and entities are refused")
    return root


def local_name(element: "_Element") -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]

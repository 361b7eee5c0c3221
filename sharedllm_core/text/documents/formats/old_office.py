"""Office files of before 2007: recognised, and refused with the format to save them in."""

from collections.abc import Callable

from ....errors import DocumentError
from ..extracted import Extracted
from .plain_text import read_text
from .rtf import read_rtf

__all__ = ["old_office_reader"]

_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def old_office_reader(
    suffix: str, newer: str, read_newer: Callable[[bytes], Extracted]
) -> Callable[[bytes], Extracted]:
    """Return the reader of an old format.

    Programs write RTF, text and the newer format under the old suffix as well; these are read.

    Args:
        suffix: of the old format, such as `".doc"`.
        newer: the suffix of its successor.
        read_newer: reads the successor.
    """

    def read(content: bytes) -> Extracted:
        if content.startswith(_COMPOUND_FILE):
            raise DocumentError(f"it is a {suffix} file in the format of before 2007", remedy=f"save it as {newer}")
        if content.startswith(b"PK"):
            return read_newer(content)
        return read_rtf(content) if content.startswith(b"{\\rtf") else read_text(content, suffix)

    return read

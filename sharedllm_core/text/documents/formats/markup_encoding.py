"""Decoding of HTML: by its mark, as UTF-8, as the page declares, or as other text."""

import codecs
import re

from .encodings import Decoded, decode_text

__all__ = ["decode_markup"]

_EXAMINED_BYTES = 4096
_DECLARED = re.compile(
    rb"""(?:<\?xml[^>]*?encoding|<meta[^>]*?charset)\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE
)
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Browsers read these as Windows-1252, which has more characters.
_WINDOWS_1252 = {"iso8859-1", "ascii"}


def decode_markup(content: bytes) -> Decoded:
    """Decode a page, its NULs replaced.

    Raises:
        DocumentError: its encoding is not known.
    """
    if content.startswith(_MARKS):
        return decode_text(content)
    for encoding in ("utf-8", _declared(content)):
        try:
            return Decoded(content.decode(encoding).replace("\0", "\ufffd"), encoding)
        except UnicodeDecodeError:
            continue
    return decode_text(content)


def _declared(content: bytes) -> str:
    found = _DECLARED.search(content[:_EXAMINED_BYTES])
    try:
        name = codecs.lookup(found[1].decode("ascii")).name if found else "utf-8"
    except LookupError:
        return "utf-8"
    return "cp1252" if name in _WINDOWS_1252 else name

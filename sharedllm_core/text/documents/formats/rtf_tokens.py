"""Tokens of RTF files, and the encodings of their fonts."""

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["CODE_PAGES", "SKIPPED_DESTINATIONS", "RtfToken", "charset_encoding", "code_page", "rtf_tokens"]

_TOKEN = re.compile(
    r"(?P<control>\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})? ?)"
    r"|\\'(?P<byte>[0-9A-Fa-f]{2})"
    r"|\\(?P<symbol>[^A-Za-z])"
    r"|(?P<brace>[{}])"
    r"|(?P<text>[^\\{}\r\n]+)"
    r"|(?P<blank>[\r\n]+)",
    re.DOTALL,
)
#: Encodings by the number of a font's character set.
_CHARSETS = {
    0: "cp1252",
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "big5",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    255: "cp437",
}
#: Groups without text of the document.
SKIPPED_DESTINATIONS = {
    "aftnsep",
    "aftnsepc",
    "annotation",
    "atnauthor",
    "atnid",
    "atnref",
    "author",
    "colortbl",
    "comment",
    "company",
    "datafield",
    "doccomm",
    "filetbl",
    "fldinst",
    "fontemb",
    "formfield",
    "ftnsep",
    "ftnsepc",
    "generator",
    "info",
    "keywords",
    "listoverridetable",
    "listtable",
    "nonesttables",
    "nonshppict",
    "objclass",
    "objdata",
    "operator",
    "pict",
    "pnseclvl",
    "rsidtbl",
    "sp",
    "rxe",
    "subject",
    "tc",
    "themedata",
    "title",
    "xe",
    "xmlnstbl",
}
CODE_PAGES = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}


class RtfToken(NamedTuple):
    """A piece of an RTF file.

    Attributes:
        kind: `"open"`, `"close"`, `"word"`, `"symbol"`, `"byte"` or `"text"`.
        text: the control word, the symbol or the text.
        number: of the control word; the byte. `None` if it has none.
    """

    kind: str
    text: str
    number: int | None = None


def rtf_tokens(text: str) -> Iterator[RtfToken]:
    """Yield the tokens of a file whose bytes are read as Latin-1; binary data is left out."""
    position = 0
    while found := _TOKEN.match(text, position):
        position = found.end()
        if found["control"]:
            number = None if found["number"] is None else int(found["number"])
            if found["word"] == "bin":
                position += max(0, number or 0)
            else:
                yield RtfToken("word", found["word"], number)
        elif found["byte"]:
            yield RtfToken("byte", "", int(found["byte"], 16))
        elif found["symbol"]:
            yield RtfToken("symbol", found["symbol"])
        elif found["brace"]:
            yield RtfToken("open" if found["brace"] == "{" else "close", found["brace"])
        elif found["text"]:
            yield RtfToken("text", found["text"])


def charset_encoding(charset: int) -> str | None:
    """The encoding of a font's character set; `None` if it is the file's."""
    return _CHARSETS.get(charset)


def code_page(number: int) -> str:
    """The encoding of a code page; Windows-1252 for unknown ones."""
    try:
        return codecs.lookup("mac_roman" if number == 10000 else f"cp{number}").name
    except LookupError:
        return "cp1252"

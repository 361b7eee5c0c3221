"""Which media types are text, and files of these types as documents."""

import codecs

from sharedllm_core import Document
from sharedllm_core.text.documents.extracted import Extracted
from sharedllm_core.text.documents.file_text import document_of_file
from sharedllm_core.text.documents.normalizing import normalized

__all__ = ["text_file"]

_TEXT_TYPES = ("json", "xml", "yaml", "x-yaml", "toml", "x-ndjson", "jsonl", "csv", "javascript", "sql", "x-sh")


def text_file(data: bytes, media_type: str, name: str) -> Document | None:
    """Return a text file as a document, whose evidence names its lines; `None` if the media type is not a text type.

    Args:
        data: content of the file; decoded by the `charset` of the media type, by default UTF-8.
        media_type: such as `"text/plain; charset=utf-8"`.
        name: id of the document.
    """
    kind, *parameters = [part.strip() for part in media_type.lower().split(";")]
    family, _, subtype = kind.partition("/")
    is_text = subtype in _TEXT_TYPES or subtype.endswith(("+json", "+xml"))
    if family != "text" and not (family == "application" and is_text):
        return None
    charsets = [one.removeprefix("charset=").strip("\"'") for one in parameters if one.startswith("charset=")]
    text = data.decode(_codec(charsets[0] if charsets else "utf-8"), "replace")
    return document_of_file(normalized(Extracted(text, is_file_text=True)), name, {}, "raise")[0]


def _codec(charset: str) -> str:
    """Python's name of a charset; UTF-8 with or without a byte order mark for itself and for unknown ones."""
    try:
        name = codecs.lookup(charset).name
    except LookupError:
        return "utf-8-sig"
    return "utf-8-sig" if name == "utf-8" else name

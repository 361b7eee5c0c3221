"""Which media types are text, and how to decode it."""

import codecs

__all__ = ["decode_text"]

_TEXT_TYPES = ("json", "xml", "yaml", "x-yaml", "toml", "x-ndjson", "jsonl", "csv", "javascript", "sql", "x-sh")


def decode_text(data: bytes, media_type: str) -> str | None:
    """Decode text by the `charset` of its media type, by default UTF-8; `None` if the type is not a text type."""
    kind, *parameters = [part.strip() for part in media_type.lower().split(";")]
    family, _, name = kind.partition("/")
    if family != "text" and not (family == "application" and (name in _TEXT_TYPES or name.endswith(("+json", "+xml")))):
        return None
    charsets = [one.removeprefix("charset=").strip("\"'") for one in parameters if one.startswith("charset=")]
    try:
        charset = codecs.lookup(charsets[0]).name if charsets else "utf-8"
    except LookupError:
        charset = "utf-8"
    return data.decode(charset, "replace")

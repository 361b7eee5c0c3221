"""Which media types are text, and the text of what comes under one."""

import codecs

__all__ = ["text_of"]

_TYPES = ("json", "xml", "yaml", "x-yaml", "toml", "x-ndjson", "jsonl", "csv", "javascript", "sql", "x-sh")


def text_of(data: bytes, media_type: str) -> str | None:
    """The text, in the `charset` that the type names or in UTF-8; `None` where the type is none of text."""
    kind, *parameters = [part.strip() for part in media_type.lower().split(";")]
    family, _, name = kind.partition("/")
    if family != "text" and not (family == "application" and (name in _TYPES or name.endswith(("+json", "+xml")))):
        return None
    given = [one.removeprefix("charset=").strip("\"'") for one in parameters if one.startswith("charset=")]
    try:
        charset = codecs.lookup(given[0]).name if given else "utf-8"
    except LookupError:
        charset = "utf-8"
    return data.decode(charset, "replace")

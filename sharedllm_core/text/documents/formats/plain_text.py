"""Text files: Markdown, source code and any other text, unchanged."""

import re

from ..extracted import Extracted, Place
from .encodings import decode_text

__all__ = ["read_text"]

_MARKDOWN = (".md", ".markdown")
_HEADING_OR_FENCE = re.compile(r"^ {0,3}(?:#{1,6}[ \t]+(?P<title>[^\r\n]*)|(?P<fence>```+|~~~+))", re.MULTILINE)


def read_text(content: bytes, suffix: str = "") -> Extracted:
    """Decode a text file; form feeds begin pages, and Markdown has headings.

    Args:
        content: of the file.
        suffix: of its name, in lower case.

    Raises:
        DocumentError: it is not text.
    """
    decoded = decode_text(content)
    places = _pages(decoded.text)
    if suffix in _MARKDOWN:
        places += _headings(decoded.text)
    return Extracted(decoded.text, sorted(places, key=lambda one: one.start), decoded.warnings, is_file_text=True)


def _pages(text: str) -> list[Place]:
    starts = [0, *(found.end() for found in re.finditer("\f", text))]
    return [Place(start, "page", str(number)) for number, start in enumerate(starts, 1)] if len(starts) > 1 else []


def _headings(text: str) -> list[Place]:
    """Find the headings of Markdown outside of code blocks."""
    places: list[Place] = []
    fence = ""
    for found in _HEADING_OR_FENCE.finditer(text):
        if found["fence"]:
            fence = "" if fence and found["fence"].startswith(fence) else fence or found["fence"]
        elif not fence and (title := found["title"].strip().rstrip("#").rstrip()):
            places.append(Place(found.start(), "heading", title))
    return places

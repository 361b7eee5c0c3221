"""Markers in text that is generated token by token, where the end of the text may be the beginning of one."""

from collections.abc import Sequence

__all__ = ["prefix_at_end"]


def prefix_at_end(text: str, markers: Sequence[str]) -> int:
    """Count the characters at the end of a text that may be the beginning of a marker."""
    longest = max((len(marker) for marker in markers), default=1) - 1
    sizes = range(min(longest, len(text)), 0, -1)
    return next((size for size in sizes if any(marker.startswith(text[-size:]) for marker in markers)), 0)

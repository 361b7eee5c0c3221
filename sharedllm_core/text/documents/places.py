"""Places in the file of a document: pages, rows, headings, lines, and characters of the file itself."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property

from .extracted import Place

__all__ = ["DocumentPlaces"]

_MAX_HEADING = 80  # characters of a heading that are shown


@dataclass(frozen=True)
class DocumentPlaces:
    """Where the characters of a document stand in its file.

    Attributes:
        marks: the places that the file's reader found, in the order of their starts.
        is_file_text: whether the text is the decoded file but for its line ends.
        double_line_ends: which line feeds of the text are two characters in the file: all, none, or those at these
            positions of the text, ascending.
    """

    marks: tuple[Place, ...] = ()
    is_file_text: bool = False
    double_line_ends: bool | tuple[int, ...] = False

    def name(self, text: str, start: int, end: int) -> str:
        """Name the place of a span: `"page 3"`, `"rows 4 to 6, under 'Fees'"`; empty where none is known."""
        kinds = [kind for kind in self._by_kind if kind != "heading"]
        parts = [self._range(kind, start, end) for kind in kinds]
        if self.is_file_text and not {"row", "line"} & set(kinds):
            first = text.count("\n", 0, start) + 1
            parts.append(_numbered("line", str(first), str(first + text.count("\n", start, max(start, end - 1)))))
        heading = self._last("heading", start)
        if heading is not None:
            shown = heading if len(heading) <= _MAX_HEADING else heading[:_MAX_HEADING] + "…"
            parts.append(f"under {shown!r}")
        return ", ".join(part for part in parts if part)

    def original(self, text: str, start: int, end: int) -> tuple[int, int] | None:
        r"""Return the characters of the decoded file in a span of the text; `None` for formats that are not text.

        A byte order mark does not count as a character; `"\\r\\n"` counts as two.
        """
        return (self._in_file(text, start), self._in_file(text, end)) if self.is_file_text else None

    def _in_file(self, text: str, at: int) -> int:
        if isinstance(self.double_line_ends, bool):
            return at + (text.count("\n", 0, at) if self.double_line_ends else 0)
        return at + bisect_left(self.double_line_ends, at)

    @cached_property
    def _by_kind(self) -> dict[str, tuple[list[int], list[str]]]:
        """The starts and names of the places of each kind."""
        found: dict[str, tuple[list[int], list[str]]] = {}
        for mark in self.marks:
            starts, names = found.setdefault(mark.kind, ([], []))
            starts.append(mark.start)
            names.append(mark.name)
        return found

    def _range(self, kind: str, start: int, end: int) -> str:
        starts, names = self._by_kind[kind]
        first, last = bisect_right(starts, start) - 1, bisect_left(starts, end) - 1
        if last < 0:
            return ""
        return _numbered(kind, names[max(first, 0)], names[max(first, last)])

    def _last(self, kind: str, start: int) -> str | None:
        starts, names = self._by_kind.get(kind, ([], []))
        at = bisect_right(starts, start) - 1
        return names[at] if at >= 0 else None


def _numbered(kind: str, first: str, last: str) -> str:
    return f"{kind} {first}" if first == last else f"{kind}s {first} to {last}"

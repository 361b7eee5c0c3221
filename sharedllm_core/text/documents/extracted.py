"""What a reader extracts from a file: its text, the places in it, and what could not be extracted."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Extracted", "ExtractionWarning", "Place"]


@dataclass(frozen=True)
class Place:
    """A place that people find in the original file, such as a page or a row.

    Attributes:
        start: the first character of the extracted text that stands there; it ends where the next place of its kind
            begins.
        kind: `"page"`, `"row"`, `"line"`, `"heading"`, `"sheet"`, `"slide"` or `"cell"`.
        name: as people call it: `"3"`, or the text of a heading.
    """

    start: int
    kind: str
    name: str


@dataclass(frozen=True)
class ExtractionWarning:
    """What is missing in the text of a file, or was guessed.

    Attributes:
        message: a sentence that names the place, without the file's name.
        place: `"page 3"`; empty for the whole file.
        is_loss: whether text is missing or unusable, so that the file is refused unless the caller accepts this.
    """

    message: str
    place: str = ""
    is_loss: bool = False


@dataclass(frozen=True)
class Extracted:
    """The text of a file.

    Attributes:
        text: with line feeds as line ends.
        places: in the order of their starts.
        warnings: what is missing or was guessed; a string is the message of a warning about the whole file.
        is_file_text: whether the text is the decoded file itself but for its line ends, so that lines and characters of
            the file can be named.
        double_line_ends: which line feeds of the text are two characters in the file: all, none, or those at these
            positions, ascending.
    """

    text: str
    places: Sequence[Place] = ()
    warnings: Sequence[str | ExtractionWarning] = ()
    is_file_text: bool = False
    double_line_ends: bool | tuple[int, ...] = False

"""Text of JSON and JSON Lines files."""

from collections.abc import Iterator

from ....errors import DocumentError
from ..extracted import Extracted
from .encodings import decode_text
from .json_tokens import Token, json_tokens
from .text_builder import TextBuilder

__all__ = ["read_json", "read_json_lines"]


def read_json(content: bytes) -> Extracted:
    """Extract JSON as indented text: numbers as written, equal keys and comments kept, escapes resolved.

    Several values, as in JSON Lines, stay one per line.

    Raises:
        DocumentError: it is not JSON.
    """
    decoded = decode_text(content)
    text = decoded.text
    several = _num_values(json_tokens(text)) > 1  # tokens are made twice, since all of them take much memory
    lines = _lines_as_written if several else _indented_lines
    builder = TextBuilder()
    builder.warnings.extend(decoded.warnings)
    _add_lines(builder, lines(json_tokens(text)), text)
    return builder.extracted()


def read_json_lines(file: bytes) -> Extracted:
    """Extract the values of a JSON Lines file, one per line, with escapes resolved.

    A line that is not JSON is kept as it stands, with a warning.
    """
    decoded = decode_text(file)
    builder = TextBuilder()
    builder.warnings.extend(decoded.warnings)
    for number, line in enumerate(decoded.text.split("\n"), start=1):
        try:
            content = "".join(token.text for token in json_tokens(line))
        except DocumentError:
            builder.warnings.append(f"line {number} is not valid JSON and is kept as it stands")
            content = line
        if content.strip():
            builder.add_place("line", str(number))
            builder.add_block(content)
    return builder.extracted()


def _num_values(tokens: Iterator[Token]) -> int:
    return sum(
        token.depth == 0 and (token.kind in {"string", "scalar"} or token.text in {"{", "["}) for token in tokens
    )


def _add_lines(builder: TextBuilder, lines: Iterator[tuple[int, str]], text: str) -> None:
    """Add lines of which each knows where it starts in the file's text."""
    line, counted, last = 1, 0, 0
    for start, content in lines:
        line += text.count("\n", counted, start)
        counted = start
        if line != last and content.strip():
            builder.add_place("line", str(line))
            last = line
        builder.add_block(content)


def _lines_as_written(tokens: Iterator[Token]) -> Iterator[tuple[int, str]]:
    start, parts = 0, [""]
    for token in tokens:
        first, *others = token.text.split("\n") if token.kind in {"space", "comment"} else [token.text]
        parts.append(first)
        for position, part in enumerate(others):
            yield start, "".join(parts)
            start, parts = token.start + len("\n".join([first, *others[:position]])) + 1, [part]
    yield start, "".join(parts)


def _indented_lines(tokens: Iterator[Token]) -> Iterator[tuple[int, str]]:
    start, line, before = 0, "", None
    for token in tokens:
        if token.kind == "space":
            continue
        if before is not None and _breaks_line(before, token):
            yield start, line
            line = ""
        if not line:
            start, line = token.start, " " * token.depth
        line += token.text + (" " if token.text == ":" and token.kind == "mark" else "")
        before = token
    yield start, line


def _breaks_line(before: Token, token: Token) -> bool:
    if "comment" in {before.kind, token.kind}:
        return True
    if token.kind == "mark" and token.text in "]}":
        return not (before.kind == "mark" and before.text in "[{")
    return before.kind == "mark" and before.text in "[{,"

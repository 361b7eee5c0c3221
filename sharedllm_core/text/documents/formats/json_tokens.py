"""Tokens of JSON text, with comments and trailing commas as configuration files have them, each value as written."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from ....errors import DocumentError

__all__ = ["Token", "json_tokens"]

_TOKEN = re.compile(
    r"""(?P<space>[\s\ufeff]+)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<scalar>[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|NaN|Infinity)|true|false|null)(?![\w.])
    | (?P<mark>[][{},:])
    | (?P<comment>//[^\n]*|/\*.*?\*/|\#[^\n]*)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"{": "}", "[": "]"}
_ESCAPED = re.compile('["\\\\\x00-\x1f]')


class Token(NamedTuple):
    """A piece of JSON text.

    Attributes:
        kind: `"space"`, `"string"`, `"scalar"`, `"mark"` or `"comment"`.
        text: as written; escapes of strings are resolved, except those that a string needs.
        start: its first character in the file's text.
        depth: of the value it belongs to; 0 outside of all objects and arrays. A bracket belongs to what it encloses.
    """

    kind: str
    text: str
    start: int
    depth: int


def json_tokens(text: str) -> Iterator[Token]:
    """Yield all tokens of one or more JSON values.

    Raises:
        DocumentError: it is not JSON.
    """
    open_brackets: list[str] = []
    position = 0
    before = ""  # the last token that is neither space nor comment: what may follow depends on it
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or not found.lastgroup:
            raise _invalid(text, position)
        kind, piece = found.lastgroup, found[0]
        if kind not in {"space", "comment"}:
            if not _may_follow(before, kind, piece, open_brackets):
                raise _invalid(text, position)
            is_key = kind == "string" and open_brackets[-1:] == ["{"] and before in {"{", ","}
            before = "key" if is_key else piece if kind == "mark" else kind
        depth = len(open_brackets)
        if piece in _CLOSING:
            open_brackets.append(piece)
        elif kind == "mark" and piece in "]}":
            open_brackets.pop()
            depth -= 1
        yield Token(kind, _unescaped(piece) if kind == "string" else piece, position, depth)
        position = found.end()
    if open_brackets:
        raise _invalid(text, len(text))


def _may_follow(before: str, kind: str, piece: str, open_brackets: list[str]) -> bool:
    inside = open_brackets[-1] if open_brackets else ""
    after_value = before in {"string", "scalar", "]", "}"}
    if kind == "mark" and piece in "]}":
        return bool(inside) and _CLOSING[inside] == piece and before != ":"
    if piece == ":":
        return before == "key"
    if piece == ",":
        return bool(inside) and after_value
    if before == "key" or (inside == "{" and before != ":"):
        return before != "key" and kind == "string"
    return not inside or not after_value  # outside of brackets, values follow one another


def _invalid(text: str, position: int) -> DocumentError:
    line = text.count("\n", 0, position) + 1
    what = f"it is not a valid .json file (line {line}"
    rest = text[position : position + 20].split("\n", 1)[0]
    return DocumentError(f"{what}, at {rest!r})" if rest else f"{what}, where it ends too early)")


def _unescaped(string: str) -> str:
    if "\\" not in string:
        return string
    value = json.loads(string, strict=False)
    value = value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return f'"{_ESCAPED.sub(lambda found: json.dumps(found[0])[1:-1], value)}"'

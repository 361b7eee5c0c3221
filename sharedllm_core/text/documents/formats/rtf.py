"""Text of RTF files: hidden and deleted text dropped, notes, headers and footers kept."""

import re
from dataclasses import dataclass, field, replace

from ..extracted import Extracted
from .numerals import superscript
from .rtf_tokens import CODE_PAGES, SKIPPED_DESTINATIONS, RtfToken, charset_encoding, code_page, rtf_tokens
from .text_builder import TextBuilder

__all__ = ["read_rtf"]

_MAX_DEPTH = 10_000
#: Destinations that older readers may pass over, but that hold text.
_KEPT = {"shpinst", "listtext", "pntext", "nesttableprops"}
_HEADERS = {"header", "headerl", "headerr", "headerf"}
_FOOTERS = {"footer", "footerl", "footerr", "footerf"}
_CHARACTERS = {
    "tab": "\t",
    "line": "\n",
    "lbr": "\n",
    "emdash": "—",
    "endash": "–",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
}
_SYMBOLS = {"~": "\u00a0", "_": "-", "\\": "\\", "{": "{", "}": "}", "\t": "\t"}
_STYLE_HEADING = re.compile(r"heading ?([1-9])|title()", re.IGNORECASE)
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")


@dataclass(frozen=True)
class _State:
    """What holds until the group ends."""

    target: str = "body"  # "body", "skip", "fonts", "styles", "headers", "footers", "note" or "box"
    hidden: bool = False
    deleted: bool = False
    raised: bool = False
    encoding: str = ""  # of the font; empty for the file's
    fallback_chars: int = 1  # to skip behind a Unicode character


@dataclass
class _Flow:
    """A stream of paragraphs and rows: the body, a header, a note."""

    builder: TextBuilder = field(default_factory=TextBuilder)
    parts: list[tuple[str, bool]] = field(default_factory=list)
    cell: list[str] = field(default_factory=list)
    row: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    level: int | None = None
    in_table: bool = False
    has_names: bool = False


def read_rtf(content: bytes) -> Extracted:
    """Extract headers, body and footers; headings are places."""
    text = content.decode("latin-1")
    start = text.find("{\\rtf")
    if start < 0 or text[:start].strip("\ufeff\xef\xbb\xbf \r\n\t\0"):
        raise ValueError("it does not begin with {\\rtf")
    reader = _RtfReader()
    for token in rtf_tokens(text[start:]):
        reader.read(token)
    return reader.extracted()


class _RtfReader:
    def __init__(self) -> None:
        self._state = _State()
        self._stack: list[tuple[_State, _Flow]] = []
        self._flow = self._body = _Flow()
        self._pages: dict[str, dict[str, None]] = {"headers": {}, "footers": {}}
        self._bytes = bytearray()
        self._to_skip = 0
        self._ignorable = False
        self._encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._default_font = 0
        self._style_levels: dict[int, int] = {}
        self._definition: tuple[int, str] = (0, "")  # of a font or a style: its number and the text
        self._num_notes = 0
        self._notes: list[str] = []

    def extracted(self) -> Extracted:
        self._flush_bytes()
        self._end_paragraph(self._body)
        self._end_table(self._body)
        builder = TextBuilder()
        builder.add_blocks(self._pages["headers"])
        builder.add_extracted(self._body.builder.extracted())
        builder.add_blocks(self._pages["footers"])
        return builder.extracted()

    def read(self, token: RtfToken) -> None:
        if token.kind == "byte":
            self._add_byte(token.number or 0)
        elif token.kind == "text":
            self._add_raw(token.text)
        else:
            self._flush_bytes()
            if token.kind == "open":
                self._open()
            elif token.kind == "close":
                self._close()
            elif token.kind == "symbol":
                self._read_symbol(token.text)
            else:
                self._read_word(token.text, token.number)

    def _open(self) -> None:
        if len(self._stack) > _MAX_DEPTH:
            raise ValueError("its groups are nested too deeply")
        self._to_skip = 0
        self._stack.append((self._state, self._flow))

    def _close(self) -> None:
        self._to_skip = 0
        if not self._stack:
            return
        ended, flow = self._state, self._flow
        self._state, self._flow = self._stack.pop()
        if flow is not self._flow:
            self._end_flow(ended.target, flow)

    def _end_flow(self, target: str, flow: _Flow) -> None:
        self._end_paragraph(flow)
        self._end_table(flow)
        text = flow.builder.extracted().text
        if target in self._pages:
            self._pages[target][text] = None
        elif target == "note":
            self._num_notes += 1
            self._flow.parts.append((f"[{self._num_notes}]", False))
            self._notes.append(f"[{self._num_notes}] {text.strip()}")
        elif text:
            self._notes.append(text)

    def _read_symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._ignorable = True
        elif symbol in "\r\n":
            self._read_word("par", None)
        elif symbol in _SYMBOLS:
            self._add(_SYMBOLS[symbol])

    def _read_word(self, word: str, number: int | None) -> None:
        ignorable, self._ignorable = self._ignorable, False
        if self._state.target in {"fonts", "styles"}:
            self._read_definition(word, number)
        elif word in SKIPPED_DESTINATIONS or (ignorable and word not in _KEPT):
            self._state = replace(self._state, target="skip")
        elif self._state.target == "skip" and word not in {"shptxt", "ud"}:
            return
        elif word in {"fonttbl", "stylesheet"}:
            self._state = replace(self._state, target="fonts" if word == "fonttbl" else "styles")
        elif word in _HEADERS or word in _FOOTERS or word in {"footnote", "shptxt"}:
            targets = {"footnote": "note", "shptxt": "box"}
            self._state = _State(target=targets.get(word, "headers" if word in _HEADERS else "footers"))
            self._flow = _Flow()
        elif word == "u":
            self._add(chr((number or 0) % 65536))
            self._to_skip = self._state.fallback_chars
        elif word in _CHARACTERS:
            self._add(_CHARACTERS[word])
        elif not self._read_format(word, number):
            self._read_structure(word, number)

    def _read_format(self, word: str, number: int | None) -> bool:
        """Read a control word about characters; `False` if it is not."""
        on = number != 0
        if word == "v":
            self._state = replace(self._state, hidden=on)
        elif word == "deleted":
            self._state = replace(self._state, deleted=on)
        elif word in {"super", "sub", "nosupersub"}:
            self._state = replace(self._state, raised=word == "super" and on)
        elif word == "plain":
            self._state = replace(
                self._state, hidden=False, deleted=False, raised=False, encoding=self._fonts.get(self._default_font, "")
            )
        elif word == "f":
            self._state = replace(self._state, encoding=self._fonts.get(number or 0, ""))
        elif word == "uc":
            self._state = replace(self._state, fallback_chars=number or 0)
        elif word == "deff":
            self._default_font = number or 0
        elif word == "ansicpg" and number:
            self._encoding = code_page(number)
        elif word in CODE_PAGES:
            self._encoding = CODE_PAGES[word]
        else:
            return False
        return True

    def _read_structure(self, word: str, number: int | None) -> None:
        flow = self._flow
        if word in {"par", "sect", "page"}:
            if flow.in_table:
                flow.cell.append(self._taken_text(flow))
            else:
                self._end_paragraph(flow)
        elif word == "pard":
            flow.level, flow.in_table = None, False
        elif word == "intbl":
            flow.in_table = True
        elif word == "s":
            flow.level = self._style_levels.get(number or 0, flow.level)
        elif word == "outlinelevel" and number is not None:
            flow.level = number + 1 if number < 9 else None
        elif word in {"cell", "nestcell"}:
            flow.cell.append(self._taken_text(flow))
            flow.row.append("\n".join(flow.cell))
            flow.cell = []
        elif word == "trhdr":
            flow.has_names = flow.has_names or not flow.rows
        elif word in {"row", "nestrow"} and flow.row:
            flow.rows.append(flow.row)
            flow.row = []

    def _read_definition(self, word: str, number: int | None) -> None:
        """Read the definition of a font or a style."""
        if word == "f" and self._state.target == "fonts":
            self._definition = (number or 0, "")
        elif word == "fcharset" and number is not None and (encoding := charset_encoding(number)):
            self._fonts[self._definition[0]] = "" if number == 0 else encoding
        elif word == "s" and self._state.target == "styles":
            self._definition = (number or 0, "")
        elif word == "outlinelevel" and number is not None and number < 9:
            self._style_levels[self._definition[0]] = number + 1

    def _add_byte(self, byte: int) -> None:
        if self._to_skip:
            self._to_skip -= 1
        else:
            self._bytes.append(byte)

    def _add_raw(self, text: str) -> None:
        skipped = min(self._to_skip, len(text))
        self._to_skip -= skipped
        self._bytes += text[skipped:].encode("latin-1")

    def _flush_bytes(self) -> None:
        if self._bytes:
            text = self._bytes.decode(self._state.encoding or self._encoding, "replace")
            self._bytes.clear()
            self._add(text)

    def _add(self, text: str) -> None:
        state = self._state
        if state.target == "styles":
            number, name = self._definition[0], self._definition[1] + text
            self._definition = (number, name)
            if found := _STYLE_HEADING.fullmatch(name.rstrip(";").strip()):
                self._style_levels[number] = int(found[1] or 1)
        elif state.target not in {"skip", "fonts"} and not state.hidden and not state.deleted:
            self._flow.parts.append((text, state.raised))

    def _taken_text(self, flow: _Flow) -> str:
        text = ""
        for part, raised in flow.parts:
            text += superscript(part, after=text[-1:]) if raised else part
        flow.parts = []
        pairs = _SURROGATES.sub(lambda found: found[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
        return pairs.replace("\t ", "\t")

    def _end_paragraph(self, flow: _Flow) -> None:
        text = self._taken_text(flow)
        if text.strip():
            self._end_table(flow)
            if flow.level:
                flow.builder.add_heading(text, flow.level)
            else:
                flow.builder.add_block(text)
        if flow is self._body and not flow.rows:
            flow.builder.add_blocks(self._notes)
            self._notes = []

    def _end_table(self, flow: _Flow) -> None:
        if flow.row or flow.cell:
            flow.rows.append([*flow.row, *(["\n".join(flow.cell)] if flow.cell else [])])
            flow.row, flow.cell = [], []
        if flow.rows:
            flow.builder.add_table(flow.rows, named=True if flow.has_names and len(flow.rows) > 1 else None)
            flow.rows, flow.has_names = [], False

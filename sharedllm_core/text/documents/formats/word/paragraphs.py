"""The text of a paragraph of a Word file: changes accepted, hidden text dropped, results of fields kept."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..archives import local_name
from ..numerals import superscript
from .equations import equation_text
from .names import W, child, value
from .styles import Styles

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["ParagraphReader", "transparent_content"]

#: Elements that only enclose others.
_TRANSPARENT = {
    "Choice",
    "bdo",
    "customXml",
    "dir",
    "fldSimple",
    "hyperlink",
    "ins",
    "moveTo",
    "sdtContent",
    "smartTag",
}
_IN_A_LINE = {"br": "\n", "cr": "\n", "tab": "\t", "ptab": "\t", "noBreakHyphen": "-"}
#: Characters of symbol fonts that stand for a box, by their code.
_BOXES = {0xF06F: "☐", 0xF0A8: "☐", 0xF0FE: "☒", 0xF0FD: "☒", 0xF052: "☑", 0xF0FC: "✓", 0xF0D6: "√", 0xF0E0: "→"}
_PRIVATE = range(0xE000, 0xF900)
_ASCII = range(0xF020, 0xF07F)


def transparent_content(element: "_Element") -> "_Element | None":
    """What an element encloses that has no text of its own; `None` for others, and for what was deleted."""
    name = local_name(element)
    if name == "sdt":
        return child(element, "sdtContent")
    if name == "AlternateContent":  # the same content for newer and for older programs
        return element[0] if len(element) else None
    return element if name in _TRANSPARENT else None


class ParagraphReader:
    """Reads paragraphs in their order: fields and the numbers of notes go on from one to the next.

    Attributes:
        notes: kind and id of the notes that were referred to since they were last taken, with their numbers.
        comments: ids of the comments that ended since they were last taken.
        boxes: contents of text boxes since they were last taken.
        drawings: relationship ids of diagrams since they were last taken.
        breaks: characters of the last paragraph before which a page begins.
        hides_text: whether the last paragraph has hidden text.
    """

    def __init__(self, styles: Styles) -> None:
        self.notes: list[tuple[str, str, str]] = []
        self.comments: list[str] = []
        self.boxes: list[_Element] = []
        self.drawings: list[str] = []
        self.breaks: list[tuple[int, bool]] = []
        self.hides_text = False
        self._styles = styles
        self._fields: list[bool] = []  # of each open field, whether its result has begun
        self._num_notes = {"footnote": 0, "endnote": 0}
        self._parts: list[tuple[str, bool]] = []  # texts, and whether they are superscripts
        self._properties: _Element | None = None  # of the paragraph

    def text(self, paragraph: "_Element") -> str:
        """The text of a paragraph."""
        self._parts, self.breaks, self.hides_text = [], [], False
        self._properties = child(paragraph, "pPr")
        for element in paragraph:
            self._read(element)
        return self._joined()

    def _joined(self) -> str:
        text = ""
        raised = ""
        for part, is_raised in [*self._parts, ("", False)]:
            if is_raised:
                raised += part
            else:
                if raised:
                    text += superscript(raised, after=text[-1:])
                    raised = ""
                text += part
        return text

    def _read(self, element: "_Element") -> None:
        name = local_name(element)
        if name == "r":
            self._read_run(element)
        elif name in {"oMath", "oMathPara"}:
            self._add(equation_text(element))
        else:
            content = transparent_content(element)
            for part in () if content is None else content:
                self._read(part)

    def _read_run(self, run: "_Element") -> None:
        properties = child(run, "rPr")
        if self._styles.is_hidden(properties, self._properties):
            self.hides_text = self.hides_text or run.find(f"{W}t") is not None
            for element in run.iterfind(f"{W}fldChar"):
                self._read_field(element)
            return
        raised = self._styles.is_raised(properties)
        for element in run:
            self._read_piece(element, raised)

    def _read_piece(self, element: "_Element", raised: bool) -> None:
        name = local_name(element)
        reader = _PIECES.get(name)
        if name == "t":
            self._add(element.text or "", raised)
        elif name == "br" and element.get(f"{W}type") == "page":
            self._break_page(rendered=False)
        elif name in _IN_A_LINE:
            self._add(_IN_A_LINE[name])
        elif reader is not None:
            reader(self, element)
        elif name == "AlternateContent" and len(element):
            for piece in element[0]:
                self._read_piece(piece, raised)
        elif name in {"drawing", "pict", "object"}:
            self._read_drawing(element)

    def _add(self, text: str, raised: bool = False) -> None:
        if text and all(self._fields):  # no instruction of a field
            self._parts.append((text, raised))

    def _break_page(self, *, rendered: bool) -> None:
        self.breaks.append((sum(len(text) for text, _ in self._parts), rendered))
        if not rendered:
            self._add("\n")

    def _read_field(self, element: "_Element") -> None:
        kind = element.get(f"{W}fldCharType")
        if kind == "begin":
            self._add(_form_value(element))
            self._fields.append(False)
        elif kind == "separate" and self._fields:
            self._fields[-1] = True
        elif kind == "end" and self._fields:
            self._fields.pop()

    def _read_symbol(self, element: "_Element") -> None:
        code = int(element.get(f"{W}char", "0"), 16)
        if code in _BOXES:
            self._add(_BOXES[code])
        elif (element.get(f"{W}font") or "").startswith("Symbol") and code in _ASCII:
            self._add(chr(code - 0xF000))
        elif code not in _PRIVATE and code:
            self._add(chr(code))
        else:
            self._add("•")

    def _read_note(self, element: "_Element") -> None:
        kind = local_name(element).removesuffix("Reference")
        if element.get(f"{W}customMarkFollows"):
            number = ""
        else:
            self._num_notes[kind] += 1
            number = f"[{self._num_notes[kind]}]" if kind == "footnote" else f"[e{self._num_notes[kind]}]"
            self._add(number)
        self.notes.append((kind, element.get(f"{W}id", ""), number))

    def _read_drawing(self, element: "_Element") -> None:
        for found in element.iter():
            name = local_name(found)
            if name == "txbxContent" and not any(local_name(above) == "Fallback" for above in found.iterancestors()):
                self.boxes.append(found)
            elif name == "relIds":
                self.drawings.extend(target for key, target in found.attrib.items() if str(key).endswith("}dm"))

    def _read_ruby(self, element: "_Element") -> None:
        for name, opening, closing in (("rubyBase", "", ""), ("rt", "(", ")")):
            self._add(opening)
            for run in child(element, name) if child(element, name) is not None else ():  # type: ignore[union-attr]
                self._read(run)
            self._add(closing)


def _form_value(element: "_Element") -> str:
    """The value of a form field that has no result: a box, or a choice."""
    box = child(element, "ffData", "checkBox")
    if box is not None:
        checked = value(box, "checked") if child(box, "checked") is not None else value(box, "default")
        is_checked = (checked or ("1" if child(box, "checked") is not None else "0")) not in {"0", "false"}
        return "☒" if is_checked else "☐"
    choices = child(element, "ffData", "ddList")
    if choices is not None:
        entries = [entry.get(f"{W}val", "") for entry in choices.iterfind(f"{W}listEntry")]
        chosen = int(value(choices, "result") or value(choices, "default") or 0)
        return entries[chosen] if chosen < len(entries) else ""
    return ""


_PIECES: "dict[str, Callable[[ParagraphReader, _Element], None]]" = {
    "fldChar": ParagraphReader._read_field,
    "sym": ParagraphReader._read_symbol,
    "footnoteReference": ParagraphReader._read_note,
    "endnoteReference": ParagraphReader._read_note,
    "commentReference": lambda reader, element: reader.comments.append(element.get(f"{W}id", "")),
    "ruby": ParagraphReader._read_ruby,
    "lastRenderedPageBreak": lambda reader, _: reader._break_page(rendered=True),
}

"""The text of one page of a PDF file, from PDFium's characters and their boxes.

PDFium finds the lines, and the spaces that stand in the file. Where words are set apart by a gap without a space, the
space is put in by the width of the gap.
"""

import ctypes
from itertools import islice
from typing import Any

__all__ = ["has_picture", "page_text"]

_WORD_GAP = 0.1  # a gap of this share of the font's height separates words
_LINE_HYPHEN = 0xFFFE  # what PDFium makes of a hyphen at the end of a line
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "ſt", 0xFB06: "st"}
_MAX_OBJECTS = 20_000  # of a page, among which pictures are looked for
_MIN_PICTURE_SHARE = 0.02  # of a page: smaller ones are ornaments
_LETTER_PATHS = 100  # so many paths can be letters; fewer are rules and frames


def page_text(document: Any, number: int) -> str:
    """Extract the text of a page, with the values of its form fields.

    Args:
        document: a `pypdfium2.PdfDocument`.
        number: of the page, from 0.
    """
    page = _open(document, number)
    if page is None:
        return ""
    textpage = page.get_textpage()
    try:
        return _text(textpage.raw, textpage.count_chars())
    finally:
        textpage.close()
        page.close()


def _open(document: Any, number: int) -> Any:
    """Open a page; what stands in form fields and notes becomes part of it. `None` for a damaged one."""
    import pypdfium2

    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return None
    if pypdfium2.raw.FPDFPage_GetAnnotCount(page.raw) and _has_field(page.raw):
        pypdfium2.raw.FPDFPage_Flatten(page.raw, pypdfium2.raw.FLAT_NORMALDISPLAY)
        page.close()
        page = document[number]
    return page


def _has_field(page: Any) -> bool:
    from pypdfium2 import raw

    shown = (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_STAMP)
    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if annotation:
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            raw.FPDFPage_CloseAnnot(annotation)
            if kind in shown:
                return True
    return False


def _text(textpage: Any, count: int) -> str:
    from pypdfium2 import raw

    box = raw.FS_RECTF()
    pointer = ctypes.byref(box)
    parts: list[str] = []
    before: tuple[float, float, float] | None = None  # right, top and bottom of the character before
    get_code, get_box = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox
    for index in range(count):
        code = get_code(textpage, index)
        if code in {0, 0xD}:
            continue
        if 0xDC00 <= code < 0xE000 and parts and "\ud800" <= parts[-1][-1] < "\udc00":
            parts[-1] = chr(0x10000 + ((ord(parts[-1]) & 0x3FF) << 10 | code & 0x3FF))
            continue
        if code <= 0x20 or code == 0xA0:
            parts.append("\n" if code == 0xA else " ")
            before = None
            continue
        has_box = get_box(textpage, index, pointer)
        if has_box and before is not None and _apart(before, box):
            parts.append(" ")
        parts.append("-\n" if code in {_LINE_HYPHEN, 0x2} else _LIGATURES.get(code) or chr(code))
        before = (box.right, box.top, box.bottom) if has_box and code != _LINE_HYPHEN else None
    lines = "".join(parts).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _apart(before: tuple[float, float, float], box: Any) -> bool:
    """Whether a character stands on the line of the one before, with a gap between."""
    right, top, bottom = before
    height = min(top - bottom, box.top - box.bottom)
    on_line = min(top, box.top) - max(bottom, box.bottom) > height / 2
    return bool(on_line and box.left - right > _WORD_GAP * height)


def has_picture(document: Any, number: int) -> bool:
    """Whether a page has a picture that can hold text, or so many drawn paths that they can be letters."""
    from pypdfium2 import PdfiumError, raw

    try:
        page = document[number]
        width, height = page.get_size()
        objects = list(islice(page.get_objects(max_depth=4), _MAX_OBJECTS))
        images = [found.get_bounds() for found in objects if found.type == raw.FPDF_PAGEOBJ_IMAGE]
        paths = sum(found.type == raw.FPDF_PAGEOBJ_PATH for found in objects)
        page.close()
    except PdfiumError:
        return True  # a page that cannot be opened is lost
    covered = sum(max(0.0, right - left) * max(0.0, top - bottom) for left, bottom, right, top in images)
    return bool(covered > _MIN_PICTURE_SHARE * width * height or paths >= _LETTER_PATHS)

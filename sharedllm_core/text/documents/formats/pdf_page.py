"""The text of one page of a PDF file, from PDFium's characters and their boxes, and whether it has pictures."""

from itertools import islice
from typing import Any

from .pdf_characters import join_accents, read_characters
from .pdf_lines import page_lines

__all__ = ["has_picture", "page_text"]

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
        characters = read_characters(textpage.raw, textpage.count_chars())
        join_accents(characters)
        return "\n".join(page_lines(characters)).strip("\n")
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

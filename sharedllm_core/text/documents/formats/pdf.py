"""Text of PDF files: PDFium's, page by page; a page of poor quality is read by pypdf as well, and reported.

PDF files hold neither headings nor tables, but characters at places. So lines are kept as lines, and headings are known
where the file has an outline.
"""

import io
import time
from collections.abc import Iterator
from itertools import islice
from threading import RLock
from typing import Any

from ....errors import DocumentError
from ..extracted import Extracted, ExtractionWarning, Place
from .pdf_page import has_picture, page_text
from .pdf_quality import flaw_of, is_better

__all__ = ["read_pdf"]

_LOCK = RLock()  # PDFium is not thread-safe
_MAX_OUTLINE = 10_000
_SECOND_READER_SECONDS = 3.0


def read_pdf(content: bytes) -> Extracted:
    """Extract the text of all pages.

    Raises:
        DocumentError: it is damaged, needs a password, or has no text.
    """
    with _LOCK:
        pages, pictures, outline = _read_pages(content)
    second = _SecondReader(content)
    warnings: list[ExtractionWarning] = []
    for number, text in enumerate(pages):
        flaw = flaw_of(text)
        if not flaw:
            continue
        other = second.page(number) if text.strip() or pictures[number] else ""
        if is_better(other, text):
            pages[number] = other
            flaw = flaw_of(other)
        if flaw and (text.strip() or pictures[number]):
            warnings.append(_warning(number, flaw))
    if not any(text.strip() for text in pages):
        raise DocumentError("it holds no text, perhaps pictures of text", remedy="run text recognition first")
    return _joined(pages, outline, warnings)


def _warning(page: int, flaw: str) -> ExtractionWarning:
    return ExtractionWarning(f"page {page + 1} {flaw}", f"page {page + 1}", is_loss=True)


def _joined(pages: list[str], outline: list[tuple[int, str]], warnings: list[ExtractionWarning]) -> Extracted:
    """Join the pages; an outline's title that is found on its page is a heading."""
    titles: dict[int, list[str]] = {}
    for page, title in outline:
        titles.setdefault(page, []).append(title)
    places: list[Place] = []
    start = 0
    for number, text in enumerate(pages):
        places.append(Place(start, "page", str(number + 1)))
        at = 0
        for title in titles.get(number, []):
            if (found := text.find(title, at)) >= 0:
                places.append(Place(start + found, "heading", title))
                at = found + len(title)
        start += len(text) + 2
    return Extracted("\n\n".join(pages), places, warnings)


def _read_pages(content: bytes) -> tuple[list[str], list[bool], list[tuple[int, str]]]:
    """Return for each page its text and whether pictures stand in place of it, and the outline as pages and titles."""
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(content) as document:
            pages = list(range(len(document)))
            texts = [page_text(document, page) for page in pages]
            pictures = [not text.strip() and has_picture(document, page) for page, text in enumerate(texts)]
            return texts, pictures, list(_outline(document))
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise DocumentError(
                "it needs a password to be opened", remedy="save a copy that needs no password"
            ) from error
        if error.err_code == pypdfium2.raw.FPDF_ERR_SECURITY:
            raise DocumentError(
                "its kind of encryption is not supported", remedy="save a copy without encryption"
            ) from error
        return _read_damaged(content, error)


def _read_damaged(content: bytes, error: Exception) -> tuple[list[str], list[bool], list[tuple[int, str]]]:
    """Read a file that PDFium refuses.

    Raises:
        DocumentError: pypdf refuses it too.
    """
    second = _SecondReader(content)
    texts = [second.page(page) for page in range(second.num_pages)]
    if not any(text.strip() for text in texts):
        raise DocumentError(f"it is not a valid .pdf file ({error})") from error
    return texts, [False] * len(texts), []


def _outline(document: Any) -> Iterator[tuple[int, str]]:
    for bookmark in islice(document.get_toc(max_depth=8), _MAX_OUTLINE):
        target = bookmark.get_dest()
        page = None if target is None else target.get_index()
        title = " ".join(bookmark.get_title().split())
        if page is not None and title:
            yield page, title


class _SecondReader:
    """pypdf, for the pages that PDFium does not read well; it has a time limit, since it is slow.

    Attributes:
        num_pages: of the file; 0 if pypdf cannot read it.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._reader: Any = None
        self._seconds = _SECOND_READER_SECONDS

    @property
    def num_pages(self) -> int:
        try:
            return len(self._opened().pages)
        except Exception:  # pypdf raises any error on a damaged file
            return 0

    def page(self, number: int) -> str:
        """Return the text of a page; empty where there is none, or when the time is used up."""
        begin = time.monotonic()
        try:
            return "" if self._seconds < 0 else str(self._opened().pages[number].extract_text())
        except Exception:  # pypdf raises any error on a damaged file; the first reader's warning stands
            return ""
        finally:
            self._seconds -= time.monotonic() - begin

    def _opened(self) -> Any:
        from pypdf import PdfReader

        if self._reader is None:
            self._reader = PdfReader(io.BytesIO(self._content))
        return self._reader

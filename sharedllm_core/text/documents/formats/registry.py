"""Which reader extracts the text of a file."""

from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from ....errors import DocumentError
from ..extracted import Extracted
from ..normalizing import normalized
from .email_message import read_email
from .epub import read_epub
from .html import read_html
from .json_text import read_json, read_json_lines
from .notebook import read_notebook
from .old_office import old_office_reader
from .open_document import read_open_document
from .pdf import read_pdf
from .plain_text import read_text
from .presentation import read_presentation
from .rtf import read_rtf
from .spreadsheet import read_spreadsheet
from .tables import read_table
from .word import read_word

__all__ = ["extract_text", "has_reader"]


def _read_attachment(name: str, content: bytes) -> Extracted | None:
    """Read an attachment of a message; `None` for kinds of file that are not read from within others."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _PLAIN_ATTACHMENTS or suffix in _READERS:
        return _extract(content, suffix)
    return None


#: Readers import their libraries when they are called: loading all of them takes longer than reading most files.
_READERS: dict[str, Callable[[bytes], Extracted]] = {
    **dict.fromkeys((".html", ".htm", ".xhtml"), read_html),
    ".pdf": read_pdf,
    **dict.fromkeys((".docx", ".docm", ".dotx", ".dotm"), read_word),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xltm"), read_spreadsheet),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".potx"), read_presentation),
    **dict.fromkeys((".odt", ".ott", ".ods", ".ots", ".odp", ".otp"), read_open_document),
    ".doc": old_office_reader(".doc", ".docx", read_word),
    ".xls": old_office_reader(".xls", ".xlsx", read_spreadsheet),
    ".ppt": old_office_reader(".ppt", ".pptx", read_presentation),
    ".rtf": read_rtf,
    ".epub": read_epub,
    ".eml": partial(read_email, read_attachment=_read_attachment),
    ".csv": partial(read_table, separator=","),
    ".tsv": partial(read_table, separator="\t"),
    ".json": read_json,
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_lines),
    ".ipynb": read_notebook,
}
_PLAIN_ATTACHMENTS = {".txt", ".md", ".rst", ".log", ".xml", ".yaml", ".yml", ".ics", ".vcf"}


def has_reader(path: Path) -> bool:
    """Whether a file's format is parsed, rather than its text decoded alone."""
    return path.suffix.lower() in _READERS


def extract_text(path: Path) -> Extracted:
    """Extract the text of a file, with line endings normalized to line feeds.

    Raises:
        DocumentError: the file is damaged, binary, encrypted, without text or of unknown encoding.
        OSError: the file cannot be opened.
    """
    return _extract(path.read_bytes(), path.suffix.lower())


def _extract(content: bytes, suffix: str) -> Extracted:
    reader = _READERS.get(suffix)
    try:
        extracted = read_text(content, suffix) if reader is None else reader(content)
    except (DocumentError, ImportError):
        raise
    except Exception as error:  # a parser may raise any error on a damaged file
        raise DocumentError(f"it is not a valid {suffix} file ({error})") from error
    return normalized(extracted)

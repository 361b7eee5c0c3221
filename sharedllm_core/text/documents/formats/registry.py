"""Which reader extracts the text of a file."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ....errors import DocumentError
from ..extracted import Extracted
from ..normalizing import normalized
from .html import read_html
from .json_text import read_json, read_notebook
from .pdf import read_pdf
from .plain_text import read_text
from .tables import read_table
from .word import read_word

__all__ = ["extract_text"]

#: Readers import their libraries when they are called: loading all of them takes longer than reading most files.
_READERS: dict[str, Callable[[bytes], Extracted]] = {
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
    ".docx": read_word,
    ".csv": partial(read_table, separator=","),
    ".tsv": partial(read_table, separator="\t"),
    ".json": read_json,
    ".ipynb": read_notebook,
}


def extract_text(path: Path) -> Extracted:
    """Extract the text of a file, with line endings normalized to line feeds.

    Raises:
        DocumentError: the file is damaged, binary, encrypted, without text or of unknown encoding.
        OSError: the file cannot be opened.
    """
    content = path.read_bytes()
    reader = _READERS.get(path.suffix.lower())
    try:
        extracted = reader(content) if reader else read_text(content, path.suffix.lower())
    except (DocumentError, ImportError):
        raise
    except Exception as error:  # a parser may raise any error on a damaged file
        raise DocumentError(f"it is not a valid {path.suffix} file ({error})") from error
    return normalized(extracted)

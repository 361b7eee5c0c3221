"""Text extraction from files, by format."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes

from ...errors import DocumentError

__all__ = ["extract_text"]

_SNIFFED_BYTES = 8192  # a zero byte among these marks a binary file


def extract_text(path: Path) -> str:
    """Extract the text of a file, with line endings normalized to line feeds.

    Raises:
        DocumentError: the file is damaged, binary, encrypted, without text or of unknown encoding.
        OSError: the file cannot be opened.
    """
    content = path.read_bytes()
    reader = _READERS.get(path.suffix.lower())
    try:
        text = reader(content) if reader else decode(content)
    except (DocumentError, ImportError):
        raise
    except Exception as error:  # a parser may raise any error on a damaged file
        raise DocumentError(f"it is not a valid {path.suffix} file ({error})") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decode(content: bytes) -> str:
    """Decode text of unknown encoding: by its byte order mark, as UTF-8, or by a detected encoding.

    Raises:
        DocumentError: the bytes are not text, or their encoding is not detected.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding)
    if b"\0" in content[:_SNIFFED_BYTES]:
        raise DocumentError("it is a binary file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        guess = from_bytes(content).best()
    if guess is None:
        raise DocumentError("its encoding is not known", remedy="save it as UTF-8")
    return str(guess)


def _html(content: bytes) -> str:
    from bs4 import BeautifulSoup

    page = BeautifulSoup(content, "html.parser")
    for invisible in page(["script", "style", "noscript", "template", "head"]):
        invisible.decompose()
    for preformatted in page("pre"):
        preformatted.insert_before("\n")
    for text in page.find_all(string=True):
        if text.find_parent("pre") is None:  # collapse white space, as a browser does
            text.replace_with(re.sub(r"\s+", " ", text))
    for block in page([*_BLOCKS, "br"]):  # break lines where a browser does
        block.insert_before("\n")
        block.insert_after("\n")
    for cell in page(["td", "th"]):
        cell.insert_after(" ")
    lines = (line.strip() for line in page.get_text().splitlines())
    return "\n".join(line for line in lines if line)


def _pdf(content: bytes) -> str:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentError("it is encrypted", remedy="save it without a password")
    text = "\n\n".join(page.extract_text() for page in reader.pages)
    if not text.strip():
        raise DocumentError("it holds no text, perhaps pictures of text", remedy="run text recognition first")
    return text


def _docx(content: bytes) -> str:
    import docx
    from docx.table import Table

    def text_of(block: Any) -> str:
        if isinstance(block, Table):
            return "\n".join(" | ".join(cell.text for cell in row.cells) for row in block.rows)
        return str(block.text)

    return "\n".join(text_of(block) for block in docx.Document(io.BytesIO(content)).iter_inner_content())


def _table(content: bytes, separator: str) -> str:
    """Convert a table to one line per row, each with the column names, so that rows are readable in any chunk."""
    rows = list(csv.reader(io.StringIO(decode(content)), delimiter=separator))
    if not rows:
        return ""
    names = rows[0]
    lines = [separator.join(names).replace("\t", " | ")]
    for row in rows[1:]:
        padded = [*row, *[""] * (len(names) - len(row))]
        extra = padded[len(names) :]
        lines.append("; ".join([*(f"{n}: {v}" for n, v in zip(names, padded, strict=False)), *extra]))
    return "\n".join(lines)


def _json(content: bytes) -> str:
    return json.dumps(json.loads(decode(content)), indent=1, ensure_ascii=False)


def _notebook(content: bytes) -> str:
    cells = json.loads(decode(content))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


_BLOCKS = (
    """
address article aside blockquote dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6
header hr li main nav ol option p pre section summary table tbody tfoot thead title tr ul
""".strip()
    .replace("\n", " ")
    .split(" ")
)


_READERS: dict[str, Callable[[bytes], str]] = {
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
    ".csv": lambda content: _table(content, ","),
    ".tsv": lambda content: _table(content, "\t"),
    ".json": _json,
    ".ipynb": _notebook,
}

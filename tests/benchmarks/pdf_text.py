"""Compare extractors of PDF text with `pdftotext -layout` (poppler-utils), page by page.

    python -m tests.benchmarks.pdf_text FOLDER [EXTRACTOR …]

FOLDER holds PDF files. For each extractor it prints a line of JSON per file: the share of pdftotext's words that the
extractor has in the same order, the share that is glued to a neighbour, and pages per second.
"""

import json
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

from sharedllm_core.text.documents.formats.pdf_page import page_text

_MAX_PAGES = 8


def main() -> None:
    """Print the comparison."""
    files = sorted(Path(sys.argv[1]).glob("*.pdf"))
    for name in sys.argv[2:] or EXTRACTORS:
        for file in files:
            reference = [words(page) for page in poppler(file)]
            if sum(map(len, reference)) < 20:
                continue
            begin = time.process_time()
            try:
                pages = EXTRACTORS[name](file)
            except Exception as error:
                print(json.dumps({"extractor": name, "file": file.name, "error": f"{error!r:.100}"}), flush=True)
                continue
            seconds = time.process_time() - begin
            pairs = list(zip(reference, [words(page) for page in pages], strict=False))
            total = sum(len(expected) for expected, _ in pairs)
            row = {
                "extractor": name,
                "file": file.name,
                "pages": len(pairs),
                "words": total,
                "in_order": round(sum(in_order(*pair) for pair in pairs) / total, 4),
                "found": round(sum(found(*pair) for pair in pairs) / total, 4),
                "glued": round(sum(glued(*pair) for pair in pairs) / total, 4),
                "pages_per_second": round(len(pages) / seconds, 1),
            }
            print(json.dumps(row), flush=True)


def poppler(file: Path) -> list[str]:
    """Return the pages that `pdftotext -layout` extracts."""
    command = ["pdftotext", "-layout", "-enc", "UTF-8", "-l", str(_MAX_PAGES), str(file), "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace").split("\f")[:-1]


def words(text: str) -> list[str]:
    """Split a text at white space, without leaders and rules; ligatures are equal to their letters."""
    parts = unicodedata.normalize("NFKC", text).replace("\N{SOFT HYPHEN}", "-").split()
    return [part for part in parts if re.search(r"\w", part)]


def in_order(expected: list[str], actual: list[str]) -> int:
    """Count the expected words that the actual ones have in the same order."""
    matcher = SequenceMatcher(None, expected, actual, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks())


def found(expected: list[str], actual: list[str]) -> int:
    """Count the expected words that the actual ones have in any order."""
    left: dict[str, int] = {}
    for word in actual:
        left[word] = left.get(word, 0) + 1
    number = 0
    for word in expected:
        if left.get(word, 0):
            left[word] -= 1
            number += 1
    return number


def glued(expected: list[str], actual: list[str]) -> int:
    """Count the actual words that are two or three neighbours of the expected ones without the space between."""
    known = set(expected)
    joined = {a + b for a, b in pairwise(expected)}
    joined |= {a + b + c for a, b, c in zip(expected, expected[1:], expected[2:], strict=False)}
    return sum(word in joined and word not in known for word in actual)


def _own(file: Path) -> list[str]:
    import pypdfium2

    with pypdfium2.PdfDocument(file) as document:
        return [page_text(document, number) for number in range(min(len(document), _MAX_PAGES))]


def _pypdfium2(file: Path) -> list[str]:
    import pypdfium2

    with pypdfium2.PdfDocument(file) as document:
        return [document[i].get_textpage().get_text_range() for i in range(min(len(document), _MAX_PAGES))]


def _pypdf(file: Path) -> list[str]:
    import pypdf

    return [page.extract_text() for page in pypdf.PdfReader(file).pages[:_MAX_PAGES]]


def _pypdf_layout(file: Path) -> list[str]:
    import pypdf

    return [page.extract_text(extraction_mode="layout") for page in pypdf.PdfReader(file).pages[:_MAX_PAGES]]


def _pdfplumber(file: Path) -> list[str]:
    import pdfplumber

    with pdfplumber.open(file) as document:
        return [page.extract_text() for page in document.pages[:_MAX_PAGES]]


def _pdfminer(file: Path) -> list[str]:
    from pdfminer.high_level import extract_text

    return extract_text(file, maxpages=_MAX_PAGES).split("\f")


EXTRACTORS: dict[str, Callable[[Path], list[str]]] = {
    "sharedllm": _own,
    "pypdfium2": _pypdfium2,
    "pypdf": _pypdf,
    "pypdf layout": _pypdf_layout,
    "pdfplumber": _pdfplumber,
    "pdfminer.six": _pdfminer,
}

if __name__ == "__main__":
    main()

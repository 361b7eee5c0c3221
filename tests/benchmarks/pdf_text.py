"""Compare extractors of PDF text with `pdftotext` (poppler-utils), page by page.

    python -m tests.benchmarks.pdf_text FOLDER [EXTRACTOR …]

FOLDER holds PDF files. For each extractor it prints a line of JSON per file: the share of pdftotext's words that the
extractor has in the same order, the share that is glued to a neighbour, and pages per second; and a line for all files.

`pdftotext -layout` interleaves the columns of a page, and `pdftotext` without it reads tables column by column. So
there are three references: both orders, and `-layout` of the left half of the page and then of its right half. Each
page counts by the one of which more words are in order; this holds for every page and every extractor.
"""

import json
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

from sharedllm_core.text.documents.formats.pdf_page import page_text

_MAX_PAGES = 8
_MIN_WORDS = 20  # of a file; one with fewer is a picture
_LETTERS = re.compile(r"[^\W\d_]{2}")
_LEADER = re.compile(r"\.(?:[ \t]*\.){3,}")
_BROKEN = re.compile(r"(?<=\w)-[ \t]*\n\s*(?=\w)")
_DOTLESS_I = re.compile("ı(?=[\u0300-\u036f])")


def main() -> None:
    """Print the comparison."""
    files = sorted(Path(sys.argv[1]).glob("*.pdf"))
    for name in sys.argv[2:] or EXTRACTORS:
        rows = [row for file in files if (row := measured(name, file))]
        print(json.dumps({"extractor": name, **summary(rows)}), flush=True)


def measured(name: str, file: Path) -> dict[str, float]:
    """Print and return the counts of one file; none for a file without text, or that the extractor cannot read."""
    orders = [[words(page) for page in order] for order in references(file)]
    layout = orders[0]
    if sum(map(len, layout)) < _MIN_WORDS:
        return {}
    begin = time.process_time()
    try:
        pages = EXTRACTORS[name](file)
    except Exception as error:
        print(json.dumps({"extractor": name, "file": file.name, "error": f"{error!r:.100}"}), flush=True)
        return {}
    seconds = time.process_time() - begin
    actual = [words(page) for page in pages] + [[]] * (len(layout) - len(pages))
    counts = [_best(expected, page) for *expected, page in zip(*orders, actual, strict=False)]
    row = {key: sum(page[key] for page in counts) for key in counts[0]}
    row["layout_in_order"] = sum(map(in_order, layout, actual))
    row["layout_words"] = sum(map(len, layout))
    row["pages_per_second"] = len(pages) / seconds
    print(json.dumps({"extractor": name, "file": file.name, "words": row["words"], **shares(row)}), flush=True)
    return row


def _best(orders: list[list[str]], actual: list[str]) -> dict[str, float]:
    return max((count(expected, actual) for expected in orders), key=_share)


def count(expected: list[str], actual: list[str]) -> dict[str, float]:
    """Count the words of a page."""
    return {
        "words": len(expected),
        "in_order": in_order(expected, actual),
        "found": found(expected, actual),
        "glued": glued(expected, actual),
    }


def _share(page: dict[str, float]) -> float:
    return page["in_order"] / max(1, page["words"])


def shares(row: dict[str, float]) -> dict[str, float]:
    """Return the counts of a file, or of all files, as shares of its words."""
    return {
        "in_order": round(row["in_order"] / row["words"], 4),
        "found": round(row["found"] / row["words"], 4),
        "glued": round(row["glued"] / row["words"], 4),
        "layout_in_order": round(row["layout_in_order"] / row["layout_words"], 4),
        "pages_per_second": round(row["pages_per_second"], 1),
    }


def summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the shares over all files, and how many files miss the aims."""
    total = {key: sum(row[key] for row in rows) for key in rows[0]}
    total["pages_per_second"] = median(row["pages_per_second"] for row in rows)
    return {
        "files": len(rows),
        "words": total["words"],
        **shares(total),
        "files_below_98_in_order": sum(row["in_order"] < 0.98 * row["words"] for row in rows),
        "files_above_1_glued": sum(row["glued"] > 0.01 * row["words"] for row in rows),
    }


def references(file: Path) -> list[list[str]]:
    """Return the pages in three orders: by rows, in pdftotext's reading order, and half after half."""
    import pypdfium2

    with pypdfium2.PdfDocument(file) as document:
        width, height = document[0].get_size()
    size = ("-W", str(int(width / 2)), "-H", str(int(height) + 1), "-y", "0")
    left = poppler(file, "-layout", "-x", "0", *size)
    right = poppler(file, "-layout", "-x", str(int(width / 2)), *size)
    halves = ["\n".join(halves) for halves in zip(left, right, strict=True)]
    return [poppler(file, "-layout"), poppler(file), halves]


def poppler(file: Path, *options: str) -> list[str]:
    """Return the pages that `pdftotext` extracts."""
    command = ["pdftotext", *options, "-enc", "UTF-8", "-l", str(_MAX_PAGES), str(file), "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace").split("\f")[:-1]


def words(text: str) -> list[str]:
    """Split a text at white space.

    Leaders and rules are no words, ligatures and characters with accents are equal to their letters, and a word that is
    broken at the end of a line is one word.
    """
    text = _LEADER.sub(" ", text.replace("\x02", "-\n").replace("\N{SOFT HYPHEN}", "-"))
    text = _BROKEN.sub("", _DOTLESS_I.sub("i", text))
    return [part for part in unicodedata.normalize("NFKC", text).split() if re.search(r"\w", part)]


def in_order(expected: list[str], actual: list[str]) -> int:
    """Count the words of the longest common subsequence, which both have in the same order.

    The bits of one integer stand for the expected words; a bit that is 0 is a word by which the subsequence grew.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(expected):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(expected)) - 1
    row = every
    for word in actual:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & every
    return len(expected) - row.bit_count()


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
    """Count the actual words that are two or three neighbours of the expected ones without the space between.

    Neighbours of which fewer than two have two letters in a row do not count: in formulas pdftotext makes a space of
    the gap behind a slanted letter, as in `M (x)`.
    """
    known = set(expected)
    runs = [*pairwise(expected), *zip(expected, expected[1:], expected[2:], strict=False)]
    joined = {"".join(run) for run in runs if sum(bool(_LETTERS.search(word)) for word in run) > 1}
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

"""Damages small files of all formats and reads them: what `test_damaged_files` measures in a process of its own.

    python -m tests.documents.damaged_files NUMBER SEED

It prints a line of JSON for each file, with its name, the seconds and `text` or `DocumentError`, and at the end a line
with the peak of the memory of the process in bytes.
"""

import io
import json
import random
import re
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pptx

from sharedllm_core.errors import DocumentError

from .reading import extract
from .test_office_files import open_document, saved, workbook, zipped
from .test_pdf import PICTURE, lines, pdf
from .word_files import level, numbered, paragraph, run, word_file


def _slides():
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Plan", "First\nSecond"
    slide.shapes.add_table(2, 2, 0, 0, 10**6, 10**6).table.cell(0, 0).text = "Item"
    return saved(deck)


def _book():
    return zipped(
        {
            "META-INF/container.xml": '<container xmlns="c"><rootfiles><rootfile full-path="B/book.opf"/></rootfiles>'
            "</container>",
            "B/book.opf": '<package xmlns="p"><manifest><item id="a" href="chapter.xhtml" '
            'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>',
            "B/chapter.xhtml": "<html><body><h1>One</h1><p>first</p></body></html>",
        }
    )


_ROW = '<table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="3">'
SEEDS = {
    "a.docx": word_file(
        numbered("Rent", 0) + paragraph(run("10"), run("6", '<w:vertAlign w:val="superscript"/>')),
        levels=level(0, "%1."),
    ),
    "a.xlsx": saved(workbook([["Item", "Price"], ["Door", 10.5]])),
    "a.pptx": _slides(),
    "a.odt": open_document('<text:h text:outline-level="1">A</text:h><text:p>b<text:s text:c="3"/></text:p>'),
    "a.ods": open_document(
        f'<table:table table:name="A">{_ROW}<text:p>b</text:p></table:table-cell></table:table-row></table:table>',
        kind="spreadsheet",
    ),
    "a.odp": open_document(
        '<draw:page draw:name="A"><draw:frame><draw:text-box><text:p>b</text:p></draw:text-box></draw:frame>'
        "</draw:page>",
        kind="presentation",
    ),
    "a.epub": _book(),
    "a.pdf": pdf(lines("Rent: 900 euros.", "Notice: 90 days."), PICTURE, lines("Signed.")),
    "a.html": b"<h1>A</h1><table><tr><th>a<td colspan=2>b</table><ol start=2><li>c</ol><pre>d</pre><a href='x:y'>e</a>",
    "a.rtf": rb"{\rtf1\ansi{\fonttbl{\f0\fcharset128 A;}}{\footnote n}\f0 \'83\'65\u-123?\trowd a\cell\row\pard\par}",
    "a.csv": b'a;b\n"x";1,5\n"y;2\n',
    "a.json": b'{"a": [1.50, "\\ud83d\\n", null], // b\n "c": {}}',
    "a.jsonl": b'{"a": 1}\n{"b": [2]}\n',
    "a.ipynb": b'{"cells": [{"source": ["a"], "outputs": [{"data": {"text/plain": "b"}}]}]}',
    "a.eml": b"Subject: =?utf-8?q?a?=\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nb\n--x\n"
    b"Content-Disposition: attachment; filename=t.csv\n\na,b\n--x--\n",
}
KINDS = ("cut", "insert", "repeat", "set")
_VALUES = (b"", b"0", b"-1", b"x", b"1e9", b"99999999999", b"A1:ZZ99999")
_DAMAGED_PARTS = ("document.xml", "content.xml", "sheet1.xml", "slide1.xml", "chapter.xhtml", "book.opf")


def mutated(content, changes):
    """A file with changes, each a position, one of `KINDS`, and a byte."""
    changed = bytearray(content)
    for position, kind, value in changes:
        place = position % (len(changed) + 1)
        if kind == "cut":
            del changed[place : place + 1 + value % 30]
        elif kind == "insert":
            changed[place:place] = bytes([value]) * (1 + value % 5)
        elif kind == "repeat":
            changed[place:place] = changed[max(0, place - 1 - value % 40) : place]
        elif place < len(changed):
            changed[place] = value
    return bytes(changed)


def mutated_parts(content, changes, damage=mutated):
    """An archive that is whole, and whose parts are damaged."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return zipped(
        {name: damage(part, changes) if name.endswith(_DAMAGED_PARTS) else part for name, part in parts.items()}
    )


def with_other_values(content, changes):
    """XML with other values of attributes, which is still XML."""
    for position, _, value in changes:
        found = list(re.finditer(rb'(?<==")[^"]*(?="[^<]*>)', content))
        if found:
            start, end = found[position % len(found)].span()
            content = content[:start] + _VALUES[value % len(_VALUES)] + content[end:]
    return content


def other_values_in_parts(content, changes):
    """An archive whose parts are XML with other values of attributes."""
    return mutated_parts(content, changes, with_other_values)


_DAMAGES = (mutated, mutated_parts, other_values_in_parts, other_values_in_parts)


def main() -> None:
    """Read damaged files and print what came of each."""
    number, seed = map(int, sys.argv[1:])
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for index in range(number):
            name, content = list(SEEDS.items())[index % len(SEEDS)]
            changes = [(rng.randrange(10**6), rng.choice(KINDS), rng.randrange(256)) for _ in range(rng.randint(1, 4))]
            is_archive = content.startswith(b"PK")
            content = rng.choice(_DAMAGES if is_archive else [mutated])(content, changes)
            begin = time.monotonic()
            try:
                extract(Path(folder), name, content).text.encode()
                result = "text"
            except DocumentError:
                result = "DocumentError"
            _write({"name": name, "seconds": time.monotonic() - begin, "result": result})
    _write({"peak_bytes": _peak_bytes()})


def _peak_bytes() -> int:
    """The most memory of this program; getrusage would give that of the process that started it, if it had more."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def _write(row) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

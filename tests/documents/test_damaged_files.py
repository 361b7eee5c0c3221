"""Damaged and hostile files: an error that says so, never a crash, a hang or a full memory."""

import io
import time
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_core.errors import DocumentError

from .reading import extract
from .test_office_files import OPEN, open_document, saved, workbook, zipped
from .word_files import level, numbered, paragraph, run, word_file

SEEDS = {
    "a.docx": word_file(
        numbered("Rent", 0) + paragraph(run("10"), run("6", '<w:vertAlign w:val="superscript"/>')),
        levels=level(0, "%1."),
    ),
    "a.xlsx": saved(workbook([["Item", "Price"], ["Door", 10.5]])),
    "a.odt": open_document('<text:h text:outline-level="1">A</text:h><text:p>b<text:s text:c="3"/></text:p>'),
    "a.html": b"<h1>A</h1><table><tr><th>a<td colspan=2>b</table><ol start=2><li>c</ol><pre>d</pre><a href='x:y'>e</a>",
    "a.rtf": rb"{\rtf1\ansi{\fonttbl{\f0\fcharset128 A;}}{\footnote n}\f0 \'83\'65\u-123?\trowd a\cell\row\pard\par}",
    "a.csv": b'a;b\n"x";1,5\n"y;2\n',
    "a.json": b'{"a": [1.50, "\\ud83d\\n", null], // b\n "c": {}}',
    "a.jsonl": b'{"a": 1}\n{"b": [2]}\n',
    "a.ipynb": b'{"cells": [{"source": ["a"], "outputs": [{"data": {"text/plain": "b"}}]}]}',
    "a.eml": b"Subject: =?utf-8?q?a?=\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nb\n--x\n"
    b"Content-Disposition: attachment; filename=t.csv\n\na,b\n--x--\n",
}
MAX_SECONDS = 5


def mutated(content, changes):
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


def mutated_parts(content, changes):
    """An archive that is whole, and whose parts are damaged."""
    parts = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            part = archive.read(name)
            parts[name] = (
                mutated(part, changes) if name.endswith(("document.xml", "content.xml", "sheet1.xml")) else part
            )
    return zipped(parts)


CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(["cut", "insert", "repeat", "set"]), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", SEEDS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES, st.booleans())
def test_a_mutated_file_is_read_or_refused_in_time(tmp_path, name, changes, inside):
    content = SEEDS[name]
    is_archive = content.startswith(b"PK")
    content = mutated_parts(content, changes) if is_archive and inside else mutated(content, changes)
    start = time.monotonic()
    try:
        text = extract(tmp_path, name, content).text
    except DocumentError:
        pass
    else:
        text.encode()
    assert time.monotonic() - start < MAX_SECONDS


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx", "a.odt", "a.epub"])
def test_archives_that_unpack_to_far_too_much_are_refused(tmp_path, name):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in (
            "word/document.xml",
            "content.xml",
            "xl/workbook.xml",
            "ppt/presentation.xml",
            "META-INF/container.xml",
        ):
            with archive.open(part, "w") as opened:
                for _ in range(110):
                    opened.write(b" " * 1_000_000)
    with pytest.raises(DocumentError, match="it unpacks to 550,000,000 bytes, and the limit is 500,000,000"):
        extract(tmp_path, name, file.getvalue())


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("name", "part"),
    [("a.docx", "word/document.xml"), ("a.pptx", "ppt/presentation.xml"), ("a.odt", "content.xml")],
)
def test_xml_that_declares_entities_is_refused(tmp_path, name, part):
    body = OPEN.format("document-content", "<office:body><office:text>&i;</office:text></office:body>")
    with pytest.raises(DocumentError, match=r"entities|Entity|amplification"):
        extract(tmp_path, name, zipped({part: f"{ENTITIES}]>{body}"}))


def test_entities_of_a_spreadsheet_are_refused(tmp_path):
    with zipfile.ZipFile(io.BytesIO(SEEDS["a.xlsx"])) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    cell = '<c r="A1" t="inlineStr"><is><t>&i;</t></is></c>'
    parts["xl/worksheets/sheet1.xml"] = (
        f"{ENTITIES}]><worksheet{sheet.split('<worksheet', 1)[1].split('<sheetData>')[0]}"
        f'<sheetData><row r="1">{cell}</row></sheetData></worksheet>'
    )
    with pytest.raises(DocumentError, match="entities"):
        extract(tmp_path, "a.xlsx", zipped(parts))


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx", "a.odt"])
def test_old_or_encrypted_office_files_say_so(tmp_path, name):
    with pytest.raises(DocumentError, match="encrypted, or a file of an older Office; save it in"):
        extract(tmp_path, name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))

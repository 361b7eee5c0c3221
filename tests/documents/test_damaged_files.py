"""Damaged and hostile files: an error that says so, never a crash, a hang or a full memory."""

import io
import json
import subprocess
import sys
import time
import zipfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_core.errors import DocumentError

from .damaged_files import KINDS, SEEDS, mutated, mutated_parts
from .reading import extract
from .test_office_files import OPEN, zipped

MAX_SECONDS = 5
MAX_BYTES = 10**9


CHANGES = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(KINDS), st.integers(0, 255)),
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


def test_500_damaged_files_in_one_process_are_read_or_refused_in_time_and_memory():
    command = [sys.executable, "-m", "tests.documents.damaged_files", "500", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-2000:]
    *files, memory = map(json.loads, done.stdout.splitlines())
    assert len(files) == 500
    assert {file["name"] for file in files} == set(SEEDS)
    assert {file["result"] for file in files} == {"text", "DocumentError"}
    assert max((file["seconds"], file["name"]) for file in files) < (MAX_SECONDS, "")
    assert memory["peak_bytes"] < MAX_BYTES


@pytest.mark.parametrize("name", SEEDS)
def test_a_file_that_is_not_damaged_is_read(tmp_path, name):
    assert extract(tmp_path, name, SEEDS[name]).text


@pytest.mark.parametrize("number", ["99999999999", "1e9"])
def test_a_row_far_below_the_last_of_excel_is_refused(tmp_path, number):
    with zipfile.ZipFile(io.BytesIO(SEEDS["a.xlsx"])) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b'<row r="2"', f'<row r="{number}"'.encode())
    with pytest.raises(DocumentError, match=f"has a row {number}, and rows of Excel are numbered up to 1,048,576"):
        extract(tmp_path, "a.xlsx", zipped(parts))


@cache
def zip_bomb():
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
    return file.getvalue()


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx", "a.odt", "a.ods", "a.odp", "a.epub"])
def test_archives_that_unpack_to_far_too_much_are_refused(tmp_path, name):
    with pytest.raises(DocumentError, match="it unpacks to 550,000,000 bytes, and the limit is 500,000,000"):
        extract(tmp_path, name, zip_bomb())


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a.docx", "word/document.xml"),
        ("a.pptx", "ppt/presentation.xml"),
        ("a.odt", "content.xml"),
        ("a.ods", "content.xml"),
        ("a.odp", "content.xml"),
        ("a.epub", "META-INF/container.xml"),
    ],
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

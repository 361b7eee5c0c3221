"""The place that is named for a span of a document holds it in the original file."""

import pickle
import random

import pytest

from sharedllm_core.text.documents import Document, read_documents
from sharedllm_core.text.documents.formats.pdf import read_pdf

from .test_pdf import lines, pdf


def document_of(path, content):
    path.write_bytes(content)
    return read_documents(path).documents[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("ends", [["\n"], ["\r\n"], ["\r"], ["\n", "\r\n", "\r"]], ids=repr)
def test_lines_and_characters_are_those_of_the_file(tmp_path, encoding, ends):
    rng = random.Random(f"{encoding}{ends}")
    facts = [f"Der Code für Haus {number} ist {rng.randint(1000, 9999)}." for number in range(30)]
    text = "".join(fact + rng.choice(ends) * rng.randint(1, 3) for fact in facts)
    document = document_of(tmp_path / "a.txt", text.encode(encoding))
    in_file = (tmp_path / "a.txt").read_bytes().decode(encoding)
    with (tmp_path / "a.txt").open(encoding=encoding) as opened:
        file_lines = opened.read().split("\n")
    for fact in facts:
        start = document.text.index(fact)
        first, last = document.original(start, start + len(fact))
        assert in_file[first:last] == fact
        kind, line = document.place(start, start + len(fact)).split()
        assert kind == "line"
        assert file_lines[int(line) - 1] == fact


def test_headings_of_markdown_are_named_outside_of_code(tmp_path):
    text = "# Lease\n\nRent.\n\n## Fees ##\n\n```\n# no heading\n```\nLate fee: 5.\nParking: 9.\n"
    document = document_of(tmp_path / "a.md", text.encode())
    start = document.text.index("Late")
    assert document.place(start, document.text.index("9.")) == "lines 10 to 11, under 'Fees'"
    assert document.place(10, 12) == "line 3, under 'Lease'"


def test_form_feeds_begin_pages(tmp_path):
    document = document_of(tmp_path / "a.txt", b"one\ftwo\nthree\ffour")
    assert document.place(document.text.index("three"), len(document.text)) == "pages 2 to 3, line 2"


def test_pages_of_a_pdf_hold_the_facts(tmp_path):
    facts = [f"Gate {number} has code {number * 37}." for number in range(20)]
    content = pdf(*(lines("A page.", fact) for fact in facts))
    document = document_of(tmp_path / "a.pdf", content)
    extracted = read_pdf(content)
    pages = [*(place.start for place in extracted.places), len(extracted.text)]
    for fact in facts:
        start = document.text.index(fact)
        kind, number = document.place(start, start + len(fact)).split()
        assert kind == "page"
        assert fact in extracted.text[pages[int(number) - 1] : pages[int(number)]]
        assert fact == facts[int(number) - 1]
    assert document.original(0, 5) is None


def test_places_change_neither_equality_nor_pickling(tmp_path):
    document = document_of(tmp_path / "a.txt", b"one\r\ntwo")
    assert document == Document("one\ntwo", id=document.id, metadata=document.metadata)
    again = pickle.loads(pickle.dumps(document))  # noqa: S301
    assert again.place(4, 7) == "line 2"
    assert again.original(4, 7) == (5, 8)
    assert Document("one\ntwo").place(4, 7) == ""

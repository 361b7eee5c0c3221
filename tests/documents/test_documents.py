"""Real files of every format, and every way in which files can be wrong."""

import json
import os
import socket

import docx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_core.errors import DocumentError
from sharedllm_core.text.documents import Document, read_documents


def texts(*sources, **options):
    return [document.text for document in read_documents(sources, **options).documents]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def pdf(text):
    """A PDF of one page, as small as one can be."""
    stream = b"BT /F1 18 Tf 10 50 Td (%s) Tj ET" % text.encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    file, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<</Root 1 0 R/Size 6>>\nstartxref\n%d\n%%%%EOF\n" % len(file)
    return file + b"xref\n0 6\n0000000000 65535 f \n" + table + end


def test_every_format_gives_its_text(tmp_path):
    word = docx.Document()
    word.add_paragraph("Clause 4")
    table = word.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "rent", "900 EUR"
    word.add_paragraph("Clause 5")
    word.save(tmp_path / "contract.docx")
    write(
        tmp_path / "page.html",
        "<html><head><title>x</title></head><body><h1>Title</h1><p>One&amp;two</p><script>no()</script></body></html>",
    )
    write(tmp_path / "notice.pdf", pdf("The notice period is 90 days"))
    write(tmp_path / "prices.csv", 'name,price\nbolt,"1,50"\nnut\n')
    write(tmp_path / "data.json", json.dumps({"größe": [1, 2]}))
    write(tmp_path / "book.ipynb", json.dumps({"cells": [{"source": ["a = 1\n", "b"]}, {"source": "text"}]}))
    write(tmp_path / "code.py", "def f():\r\n    return 1\r\n")
    write(tmp_path / "notes.md", "# Notes\n")
    found = {document.id.rsplit("/", 1)[-1]: document.text for document in read_documents(tmp_path).documents}
    assert found == {
        "contract.docx": "Clause 4\nrent | 900 EUR\nClause 5",
        "page.html": "# Title\nOne&two",
        "notice.pdf": "The notice period is 90 days",
        "prices.csv": "name,price\nname: bolt; price: 1,50\nname: nut; price: ",
        "data.json": '{\n "größe": [\n  1,\n  2\n ]\n}',
        "book.ipynb": "a = 1\nb\n\ntext",
        "code.py": "def f():\n    return 1\n",
        "notes.md": "# Notes\n",
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=200))
def test_utf8_text_comes_back_as_it_is(tmp_path, text):
    assert texts(write(tmp_path / "a.txt", text)) == [text.removeprefix("\ufeff")]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-16", "Grüße aus Köln"),
        ("utf-8-sig", "Grüße"),
        ("cp1252", "Die Prüfung der größten Gebäude kostet 20 € für jede Behörde in München. " * 5),
        ("cp1251", "Договор аренды нежилого помещения вступает в силу с первого января. " * 5),
    ],
)
def test_other_encodings_are_recognised(tmp_path, encoding, text):
    assert texts(write(tmp_path / "a.txt", text.encode(encoding))) == [text]


def test_a_folder_is_read_in_order_without_what_is_no_document(tmp_path):
    for name in ("b.txt", "a/2.txt", "a/1.txt", "build/out.txt", "keep.log", "drop.log"):
        write(tmp_path / name, name)
    for name in (".git/config", ".hidden", "node_modules/x/index.js", "a/__pycache__/x.txt"):
        write(tmp_path / name, "never")
    write(tmp_path / ".gitignore", "build/\n*.log\n!keep.log\n")
    assert texts(tmp_path) == ["b.txt", "keep.log", "a/1.txt", "a/2.txt"]
    assert texts(tmp_path / ".hidden") == ["never"], "what is named is read"


def test_ids_are_stable_and_files_named_twice_are_read_once(tmp_path, monkeypatch):
    write(tmp_path / "docs" / "a.md", "A")
    write(tmp_path / "docs" / "deep" / "b.md", "B")
    monkeypatch.chdir(tmp_path)
    found = read_documents(["docs", "docs/**/*.md", "docs/a.md"]).documents
    assert [document.id for document in found] == ["docs/a.md", "docs/deep/b.md"]
    assert found[0].metadata == {"path": "docs/a.md", "bytes": 1}


def test_documents_given_as_text_have_an_id_by_their_text():
    assert Document("hello").id == Document("hello").id != Document("hello ").id
    assert Document("hello", id="mine").id == "mine"
    assert texts(Document("a"), Document("a"), Document("b")) == ["a", "b"]
    with pytest.raises(DocumentError, match="two documents have the id 'x' and different texts"):
        read_documents([Document("a", id="x"), Document("b", id="x")])
    with pytest.raises(DocumentError, match="text is a bytes; give a string"):
        Document(b"a")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("data.unknown", b"\x01\x02\0\0\0", "it is a binary file"),
        ("bad.pdf", b"%PDF-1.4 and nothing more", "it is not a valid .pdf file"),
        ("bad.docx", b"no zip at all", "it is not a valid .docx file"),
        ("bad.json", b"{", "it is not a valid .json file"),
        ("empty.pdf", pdf(""), "it holds no text"),
        ("large.txt", b"x" * 2000, r"it has 2,000 bytes and the limit is 1,000; split it, raise max_file_bytes, or"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_skipped_only_when_asked(tmp_path, name, content, reason):
    write(tmp_path / name, content)
    write(tmp_path / "good.txt", "good")
    with pytest.raises(DocumentError, match=rf"{name} cannot be read: {reason}.*on_error='skip'"):
        read_documents(tmp_path, max_file_bytes=1000)
    result = read_documents(tmp_path, on_error="skip", max_file_bytes=1000)
    assert [document.text for document in result.documents] == ["good"]
    assert [skipped.path for skipped in result.skipped] == [(tmp_path / name).as_posix()]


def test_paths_that_lead_nowhere_are_said_so(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    wrong = {
        tmp_path / "none.txt": r"does not exist; give a path or a glob, or put text into Document\(text=…\)",
        f"{tmp_path}/*.md": "matches no file",
        tmp_path / "loop": "is a broken or circular link",
    }
    for source, message in wrong.items():
        with pytest.raises(DocumentError, match=message):
            read_documents(source)


def test_links_in_a_circle_do_not_hold_up_a_folder(tmp_path):
    write(tmp_path / "a" / "one.txt", "one")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    result = read_documents(tmp_path, on_error="skip")
    assert [document.text for document in result.documents] == ["one"]
    assert [os.path.basename(skipped.path) for skipped in result.skipped] == ["self"]


def test_what_is_no_file_is_skipped_or_named(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX) as plug:
        monkeypatch.chdir(tmp_path)
        plug.bind("plug")
        with pytest.raises(DocumentError, match="plug cannot be read: it is neither a file nor a folder"):
            read_documents(tmp_path)


def test_ten_thousand_files_are_all_read(tmp_path):
    for number in range(10_000):
        (tmp_path / f"{number:05}.txt").write_text(str(number))
    assert texts(tmp_path) == [str(number) for number in range(10_000)]


def test_an_empty_file_is_an_empty_document(tmp_path):
    write(tmp_path / "a.txt", "")
    write(tmp_path / "b.csv", "")
    assert texts(tmp_path) == ["", ""]


def test_html_breaks_lines_where_a_browser_does_and_nowhere_else(tmp_path):
    (tmp_path / "page.html").write_text(
        "<p>The notice <b>period</b> is\n 90 days, H<sub>2</sub>O, see <a href='#'>clause 4</a>.</p>"
        "<ul><li>one</li><li>two <i>and</i> a half</li></ul><pre>a\n  b</pre>next<br>line"
        "<table><tr><td>fee</td><td>90</td></tr></table>"
    )
    (document,) = read_documents(tmp_path).documents
    assert document.text.splitlines() == [
        "The notice period is 90 days, H2O, see clause 4.",
        "- one",
        "- two and a half",
        "a",
        "  b",
        "next",
        "line",
        "fee | 90",
    ]

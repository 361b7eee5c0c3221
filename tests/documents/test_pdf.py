"""PDF files: every page's text in order, and a report of what could not be read."""

import io
import os
import random
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sharedllm_core.errors import DocumentError
from sharedllm_core.text.documents import read_documents
from sharedllm_core.text.documents.formats.pdf import read_pdf
from sharedllm_core.text.documents.formats.pdf_quality import flaw_of, is_better

BESIDE = Path(__file__).parents[3] / "shared" / "fixtures"
FIXTURES = Path(os.environ.get("SHAREDLLM_FIXTURES", BESIDE)) / "documents"
WORDS = (
    "rent", "notice", "period", "euros", "Bremen", "tenant", "office", "garden", "gate", "fee", "clause", "letter",
)  # fmt: skip


def pdf(*streams, resources=b""):
    """A PDF whose pages have these content streams."""
    pages = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(streams)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (pages, len(streams)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, stream in enumerate(streams):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R/Resources<</Font<</F1 3 0 R>>%s>>>>"
            % (5 + 2 * number, resources)
        )
        objects.append(b"<</Length %d>>\nstream\n%s\nendstream" % (len(stream), stream))
    file, places = io.BytesIO(b""), []
    file.write(b"%PDF-1.4\n")
    for number, content in enumerate(objects, start=1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    file.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    file.write(b"trailer\n<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return file.getvalue()


def lines(*texts):
    """A content stream with these lines."""
    shown = b"".join(b"1 0 0 1 50 %d Tm (%s) Tj " % (800 - 20 * at, text.encode()) for at, text in enumerate(texts))
    return b"BT /F1 12 Tf " + shown + b"ET"


PICTURE = b"q 400 0 0 300 50 300 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"


@pytest.mark.parametrize("seed", range(5))
def test_words_come_back_complete_in_order_and_once(seed):
    rng = random.Random(seed)
    pages = [[" ".join(rng.choices(WORDS, k=8)) for _ in range(rng.randint(1, 30))] for _ in range(4)]
    extracted = read_pdf(pdf(*(lines(*page) for page in pages)))
    assert extracted.text.split() == [word for page in pages for line in page for word in line.split()]
    assert [place.name for place in extracted.places] == ["1", "2", "3", "4"]
    for place, page in zip(extracted.places, pages, strict=True):
        assert extracted.text[place.start :].startswith(page[0])


def test_words_that_are_set_apart_without_a_space_come_apart():
    stream = b"BT /F1 12 Tf 50 700 Td [(The) -250 (notice) -250 (pe) 20 (riod)] TJ ET"
    assert read_pdf(pdf(stream)).text == "The notice period"


def test_a_word_that_is_broken_at_the_end_of_a_line_keeps_its_hyphen():
    stream = lines("The notice pe-", "riod is ninety days.")
    assert read_pdf(pdf(stream)).text == "The notice pe-\nriod is ninety days."


def test_accents_that_are_set_over_letters_become_one_character_with_them():
    def over(accent, letter, left):
        return b"1 0 0 1 %d 700 Tm (\\%03o) Tj 1 0 0 1 %d 700 Tm (%s) Tj " % (left + 1, accent, left, letter)

    grave = 0o301
    word = b"1 0 0 1 50 700 Tm (pi) Tj " + over(grave, b"u", 59)
    stream = b"BT /F1 12 Tf " + word + b"1 0 0 1 66 700 Tm (, \\301a) Tj ET"
    assert read_pdf(pdf(stream)).text == "pi\N{LATIN SMALL LETTER U WITH GRAVE}, `a"


def test_lines_of_a_form_that_are_drawn_in_any_order_are_read_by_their_place():
    cells = [(50 + 400 * column, 700 - 40 * row, f"field{row}{column}") for row in range(4) for column in range(2)]
    random.Random(1).shuffle(cells)
    drawn = b"".join(b"1 0 0 1 %d %d Tm (%s) Tj " % (left, bottom, text.encode()) for left, bottom, text in cells)
    text = read_pdf(pdf(b"BT /F1 12 Tf " + drawn + b"ET")).text
    assert text.split() == [f"field{row}{column}" for row in range(4) for column in range(2)]


def test_columns_are_read_one_after_the_other():
    columns = [[f"column {column} row {row} of the text" for row in range(12)] for column in range(4)]
    drawn = b"".join(
        b"1 0 0 1 %d %d Tm (%s) Tj " % (20 + 140 * column, 700 - 20 * row, text.encode())
        for column, texts in enumerate(columns)
        for row, text in enumerate(texts)
    )
    text = read_pdf(pdf(b"BT /F1 9 Tf " + drawn + b"ET")).text
    assert text.split("\n") == [line for texts in columns for line in texts]


def test_a_page_that_is_a_picture_is_reported_and_refused_unless_accepted(tmp_path):
    file = tmp_path / "lease.pdf"
    file.write_bytes(pdf(lines("Rent: 900 euros."), PICTURE, lines("Signed.")))
    with pytest.raises(DocumentError, match=r"lease\.pdf cannot be read: page 2 has no text.*on_error='skip'"):
        read_documents(file)
    found = read_documents(file, on_error="skip")
    assert found.documents[0].text.split() == ["Rent:", "900", "euros.", "Signed."]
    (warning,) = found.warnings
    assert (warning.path, warning.place) == (file.as_posix(), "page 2")
    document = found.documents[0]
    assert document.place(document.text.index("Signed"), len(document.text)) == "page 3"


def test_an_empty_page_is_no_loss():
    extracted = read_pdf(pdf(lines("One."), b"", lines("Three.")))
    assert not extracted.warnings
    assert extracted.text.split() == ["One.", "Three."]


def test_text_that_cannot_be_what_stands_there_is_found():
    sentence = "The tenant pays the rent of nine hundred euros at the beginning of each month. " * 5
    assert not flaw_of(sentence)
    assert "without spaces" in flaw_of(sentence.replace(" ", ""))
    assert "form no words" in flaw_of("".join(chr(ord(c) - 29) if c.isalpha() else c for c in sentence))
    assert "does not tell" in flaw_of("\ue012\ue013 \ufffd\ufffd" * 40)
    assert not flaw_of("4711 0815 900,00 12.04.2024\n" * 20), "tables of numbers are text"
    assert not flaw_of("通知期限为九十天。租金每月一千二百元。" * 20), "scripts without spaces are text"
    assert is_better(sentence, sentence.replace(" ", ""))
    assert not is_better("", sentence)


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the shared files are not here")
@pytest.mark.parametrize(
    ("name", "text"),
    [("pdf_owner_password_aes", "1,250 euros"), ("pdf_lone_surrogate", "The code is 4711 \ufffd.")],
)
def test_shared_files_are_read(name, text):
    assert text in read_documents(FIXTURES / f"{name}.pdf").documents[0].text


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the shared files are not here")
def test_a_password_is_asked_for():
    with pytest.raises(DocumentError, match="needs a password to be opened; save a copy that needs no password"):
        read_documents(FIXTURES / "pdf_user_password.pdf")


def test_mutated_files_are_read_or_refused_in_time():
    whole = pdf(*(lines(*WORDS) for _ in range(3)), PICTURE)
    rng = random.Random(0)
    for _ in range(250):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(content))
            if rng.random() < 0.3:
                del content[at : at + rng.randint(1, 60)]
            else:
                content[at] = rng.randrange(256)
        begin = time.monotonic()
        with suppress(DocumentError):
            read_pdf(bytes(content))
        assert time.monotonic() - begin < 5

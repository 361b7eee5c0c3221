"""Text files of any encoding are read as their writer saw them, and what was guessed or damaged is reported."""

import codecs
import json
import random
from contextlib import suppress

import pytest

from sharedllm_core.errors import DocumentError
from sharedllm_core.generation.prompting import query_text
from sharedllm_core.text.documents import Document, read_documents
from sharedllm_core.text.documents.formats.encodings import decode_text

from .reading import extract

WESTERN, CENTRAL = ("cp1252", "mac_roman"), ("cp1250", "iso8859_2")
CYRILLIC = ("cp1251", "koi8_r", "cp866")
TEXTS = [
    ("Der Mieter zahlt für die Räume größere Beträge; über die Höhe entscheidet das Gericht.", WESTERN),
    ("L'été était très chaud, le loyer s’élève à 1 250 € par mois, reçu à Noël.", WESTERN),
    ("El señor Núñez pagó 25 € ayer. ¿Qué más quería?", WESTERN),
    ("A informação não está disponível; as condições são três.", WESTERN),
    ("Hyran är på 900 kronor för året och låga räntor.", WESTERN),
    ("Lejen er på 900 kroner for året; søger bolig i København.", WESTERN),
    ("La città è più bella perché c'è già un caffè.", WESTERN),
    ("Wypowiedzenie umowy następuje po trzech miesiącach, zażółć gęślą jaźń.", CENTRAL),
    ("Příliš žluťoučký kůň úpěl ďábelské ódy. Nájemné činí 900 korun.", CENTRAL),
    ("Az árvíztűrő tükörfúrógép bérleti díja három hónap. A főnök örül.", CENTRAL),
    ("Срок уведомления составляет девяносто дней. Аренда 1250 рублей.", CYRILLIC),
    ("Срокът за предизвестие е деветдесет дни, после договорът изтича.", CYRILLIC),
    ("Kira her ayın başında ödenir, değişiklik için başvuru şarttır.", ("cp1254",)),
    ("Yalnız sayı girin, lütfen.", ("cp1254", "iso8859_9")),
    ("Sayılar doğru.", ("cp1254",)),
    ("Sækja þarf um leyfi áður en það rennur út.", ("cp1252",)),
    ("Η προθεσμία ειδοποίησης είναι ενενήντα ημέρες.", ("cp1253",)),
    ("Άρθρο 3. Η μίσθωση λήγει σε ενενήντα ημέρες. Άλλοι όροι ισχύουν.", ("cp1253", "iso8859_7")),
    ("דמי השכירות ישולמו בתחילת כל חודש.", ("cp1255", "iso8859_8")),
    ("הסכום שולם", ("cp1255",)),
    ("通知期限为九十天。租金每月一千二百元。", ("gb18030",)),
    ("通知期限為九十天。租金每月一千二百元,請於月初繳納。", ("big5",)),
    ("解約の通知期間は九十日です。家賃は月額八万円です。", ("cp932", "euc_jp")),
    ("해지 통지 기간은 구십 일입니다. 월세는 팔십만 원입니다.", ("cp949",)),
]
CASES = [(text, encoding) for text, encodings in TEXTS for encoding in encodings]


@pytest.mark.parametrize(("text", "encoding"), CASES, ids=[f"{number}-{case[1]}" for number, case in enumerate(CASES)])
def test_an_undeclared_encoding_is_guessed_and_reported(text, encoding):
    decoded = decode_text(text.encode(encoding, "ignore"))
    assert decoded.text == text.encode(encoding, "ignore").decode(encoding)
    assert "its encoding is not declared and was guessed" in decoded.warnings[0]


@pytest.mark.parametrize("text", [text for text, _ in TEXTS])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8"])
def test_unicode_with_a_mark_is_read_without_it(text, encoding):
    mark = "\ufeff".encode(encoding)
    decoded = decode_text(mark + text.encode(encoding))
    assert (decoded.text, decoded.encoding, decoded.warnings) == (text, encoding, ())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("number", [0, 1, 7, 10, -2])
def test_wide_unicode_without_a_mark_is_guessed(number, encoding):
    text = f"{TEXTS[number][0]}\n900 EUR\n"
    decoded = decode_text(text.encode(encoding))
    assert decoded.text == text
    assert "guessed" in decoded.warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        "Löschen",
        "tytuł",
        "通知期限为九十天。租金每月一千二百元。",
        "通知期限為九十天,租金每月一千二百元。",
        TEXTS[-2][0],
    ],
)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_words_and_texts_without_spaces_are_recognized_in_wide_unicode(text, encoding):
    assert decode_text(text.encode(encoding)).text == text


def test_a_damaged_byte_costs_one_character_and_is_reported_with_its_line():
    text = "Die Räume.\nDie Miete beträgt 900 €.\n"
    content = bytearray(text.encode())
    content[content.index(b"9")] = 0xFF
    decoded = decode_text(bytes(content))
    assert decoded.text == text.replace("9", "\ufffd")
    assert decoded.warnings == ("1 character is not valid UTF-8 and replaced by U+FFFD, the first in line 2",)


def test_null_characters_in_text_are_replaced_and_reported():
    decoded = decode_text(b"one\ntwo\0 three\n" + b"x" * 9000 + b"\0")
    assert decoded.text == "one\ntwo\ufffd three\n" + "x" * 9000 + "\ufffd"
    assert decoded.warnings == ("2 null characters are replaced by U+FFFD, the first in line 2",)


@pytest.mark.parametrize("seed", range(40))
def test_short_random_data_are_not_taken_for_wide_unicode(seed):
    with suppress(DocumentError):
        assert not decode_text(random.Random(seed).randbytes(20 + seed)).encoding.startswith("utf-16")


@pytest.mark.parametrize("content", [random.Random(1).randbytes(5000), b"\x7fELF\2\1\1" + b"\0" * 90])
def test_data_are_no_text(content):
    with pytest.raises(DocumentError, match="binary"):
        decode_text(content)


GERMAN = "Die Kündigungsfrist für die Räume beträgt drei Monate."
NOTEBOOK = json.dumps({"cells": [{"cell_type": "markdown", "source": GERMAN}]}, ensure_ascii=False)
GUESSED = "its encoding is not declared and was guessed: Windows-1252"


def message_with(*parts):
    """An e-mail with these parts, each with its header line and content."""
    lines = [b"Subject: Notice", b"Content-Type: multipart/mixed; boundary=x", b""]
    for header, content in parts:
        lines += [b"--x", header.encode(), b"Content-Transfer-Encoding: 8bit", b"", content]
    return b"\n".join([*lines, b"--x--", b""])


@pytest.mark.parametrize("declared", ["", "; charset=utf-8", "; charset=us-ascii", "; charset=unheard-of"])
def test_an_email_whose_charset_is_missing_or_wrong_reports_the_guess(tmp_path, declared):
    content = message_with((f"Content-Type: text/plain{declared}", GERMAN.encode("cp1252")))
    extracted = extract(tmp_path, "a.eml", content)
    assert GERMAN in extracted.text
    assert extracted.warnings == (f"a part of the message: {GUESSED}",)


def test_every_part_of_an_email_reports_its_own_guess(tmp_path):
    declared = ("Content-Type: text/plain; charset=iso-8859-2", "Příliš žluťoučký kůň.".encode("iso-8859-2"))
    undeclared = ("Content-Type: text/plain", GERMAN.encode("cp1252"))
    attached = ('Content-Type: text/csv; name="a.csv"', f"a,b\n{GERMAN},1\n".encode("cp1252"))
    extracted = extract(tmp_path, "a.eml", message_with(declared, undeclared, attached))
    assert "Příliš žluťoučký kůň." in extracted.text
    assert extracted.text.count(GERMAN) == 2
    assert extracted.warnings == (f"a part of the message: {GUESSED}", GUESSED)


def test_an_email_with_declared_charsets_has_no_warning(tmp_path):
    parts = [(f"Content-Type: text/plain; charset={name}", GERMAN.encode(name)) for name in ("utf-8", "cp1252")]
    assert extract(tmp_path, "a.eml", message_with(*parts)).warnings == ()


@pytest.mark.parametrize(("encoding", "name"), [("cp1252", "Windows-1252"), ("utf-16-le", "UTF-16-LE")])
def test_a_notebook_in_another_encoding_reports_the_guess(tmp_path, encoding, name):
    extracted = extract(tmp_path, "a.ipynb", NOTEBOOK.encode(encoding))
    assert extracted.text == GERMAN
    assert extracted.warnings == (f"its encoding is not declared and was guessed: {name}",)


def test_a_library_reports_the_guesses_in_emails_and_notebooks(tmp_path):
    content = message_with(("Content-Type: text/plain", GERMAN.encode("cp1252")))
    (tmp_path / "a.eml").write_bytes(content)
    (tmp_path / "b.ipynb").write_bytes(NOTEBOOK.encode("cp1252"))
    warnings = read_documents(tmp_path).warnings
    assert [warning.message for warning in warnings] == [f"a part of the message: {GUESSED}", GUESSED]


def test_lone_surrogates_are_replaced_at_the_border(tmp_path):
    document = Document("half \ud83d of it", id="\udcffa", metadata={"title": "\ud800 title"})
    assert (document.text, document.id, document.title) == ("half \ufffd of it", "\ufffda", "\ufffd title")
    (tmp_path / "a.json").write_text('{"note": "half \\ud83d of it"}')
    found = read_documents(tmp_path / "a.json")
    assert "half \ufffd of it" in found.documents[0].text
    assert "surrogate" in found.warnings[0].message


def test_mutated_text_files_are_read_or_refused():
    rng = random.Random(0)
    for number in range(250):
        text, encoding = CASES[number % len(CASES)]
        content = bytearray(rng.choice([b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE]) + text.encode(encoding, "ignore"))
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        with suppress(DocumentError):
            decode_text(bytes(content)).text.encode()


def test_lone_surrogates_in_messages_are_replaced():
    assert query_text([{"role": "user", "content": "half \ud83d of it?"}]) == "half \ufffd of it"

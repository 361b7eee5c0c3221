"""Spreadsheets, presentations, OpenDocument, RTF, EPUB and e-mail: their text, structure and places."""

import datetime
import io
import sys
import zipfile
from email.message import EmailMessage

import openpyxl
import pptx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_core.errors import DocumentError

from .reading import extract, places, text_of, words_in_order


def saved(document):
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def zipped(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def workbook(rows, formats=()):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for coordinate, number_format in formats:
        book.active[coordinate].number_format = number_format
    return book


def test_sheets_show_their_values_beside_the_column_names(tmp_path):
    book = workbook(
        [
            ["Report 2024"],
            [],
            ["Item", "Price", "Share", "From"],
            ["Rent", 4350, 0.19, datetime.date(2024, 1, 31)],
            ["Heat", 1.1, None, datetime.datetime(2024, 2, 1, 12, 30)],
        ],
        [("B4", '#,##0.00 "EUR"'), ("C4", "0.0%")],
    )
    extracted = extract(tmp_path, "a.xlsx", saved(book))
    assert extracted.text.split("\n") == [
        "## Sheet",
        "Report 2024",
        "Item | Price | Share | From",
        "Item: Rent; Price: 4,350.00 EUR; Share: 19.0%; From: 2024-01-31",
        "Item: Heat; Price: 1.1; Share: ; From: 2024-02-01 12:30:00",
    ]
    assert places(extracted, "sheet") == {"Sheet": "## Sheet"}
    assert places(extracted, "row")["5"].startswith("Item: Heat")


def test_hidden_sheets_and_formulas_without_results_are_warned_about(tmp_path):
    book = workbook([["a", 1], ["b", "=B1*2"]])
    book.create_sheet("Notes").sheet_state = "hidden"
    extracted = extract(tmp_path, "a.xlsx", saved(book))
    assert extracted.text == "## Sheet\na | 1\nb | =B1*2"
    assert extracted.warnings == (
        "sheet Sheet: B2 have formulas without results",
        "the sheet Notes is hidden and is left out",
    )


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (1234.5, "General", "1234.5"),
        (0.1 + 0.2, "General", "0.3"),
        (1234.567, "#,##0.00", "1,234.57"),
        (-1234.5, "#,##0.00;(#,##0.00)", "(1,234.50)"),
        (-5, "0.0", "-5.0"),
        (4350, "[$€-407] #,##0", "€ 4,350"),
        (0.055, "0.0%", "5.5%"),
        (7, "000", "007"),
        (2.5, "0.0##", "2.5"),
        (12, '0 "km"', "12 km"),
        (True, "General", "TRUE"),
    ],
)
def test_numbers_are_written_as_their_cells_show_them(tmp_path, value, number_format, shown):
    text = text_of(tmp_path, "a.xlsx", saved(workbook([["x", value]], [("B1", number_format)])))
    assert text == f"## Sheet\nx | {shown}"


def test_a_missing_library_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        DocumentError, match=r'Excel files are read with openpyxl.*pip install "sharedllm\[documents\]"'
    ):
        extract(tmp_path, "a.xlsx", b"PK")


def test_slides_show_titles_text_tables_and_notes(tmp_path):
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Plan", "First\nSecond"
    shape = slide.shapes.add_table(2, 2, 0, 0, 10**6, 10**6)
    for row, cells in enumerate((("Item", "Price"), ("Door", "10"))):
        for column, text in enumerate(cells):
            shape.table.cell(row, column).text = text
    slide.notes_slide.notes_text_frame.text = "say hello"
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "End"
    extracted = extract(tmp_path, "a.pptx", saved(deck))
    assert extracted.text == "# Plan\nFirst\nSecond\nItem | Price\nItem: Door; Price: 10\nNotes: say hello\n# End"
    assert places(extracted, "slide") == {"1": "# Plan", "2": "# End"}


OPEN = (
    '<office:{0} xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0">{1}</office:{0}>'
)


def open_document(body, styles="", kind="text"):
    content = f"<office:automatic-styles>{styles}</office:automatic-styles>"
    content += f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    return zipped({"content.xml": OPEN.format("document-content", content)})


def test_open_document_texts_have_headings_lists_notes_and_tables(tmp_path):
    styles = (
        '<style:style style:name="H" style:family="text"><style:text-properties text:display="none"/></style:style>'
        '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1" '
        'style:num-suffix="."/><text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"/>'
        "</text:list-style>"
    )
    body = (
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion>"
        '</text:changed-region></text:tracked-changes><text:h text:outline-level="2">Rent</text:h>'
        '<text:p>a<text:s text:c="2"/>b<text:tab/><text:span text:style-name="H">secret</text:span>c'
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>note</text:p></text:note-body>"
        '</text:note></text:p><text:list text:style-name="L"><text:list-item><text:p>one</text:p><text:list>'
        "<text:list-item><text:p>deep</text:p></text:list-item></text:list></text:list-item><text:list-item>"
        "<text:p>two</text:p></text:list-item></text:list><table:table><table:table-row><table:table-cell><text:p>Item"
        "</text:p></table:table-cell><table:table-cell><text:p>Price</text:p></table:table-cell></table:table-row>"
        "<table:table-row><table:table-cell><text:p>Door</text:p></table:table-cell><table:table-cell><text:p>10</text:p>"
        "</table:table-cell></table:table-row></table:table>"
    )
    extracted = extract(tmp_path, "a.odt", open_document(body, styles))
    assert extracted.text.split("\n") == [
        "## Rent",
        "a  b\tc[1]",
        "[1] note",
        "1. one",
        "a) deep",
        "2. two",
        "Item | Price",
        "Item: Door; Price: 10",
    ]
    assert places(extracted, "heading") == {"Rent": "## Rent"}


def test_open_document_sheets_have_rows_as_places(tmp_path):
    def row(*cells, repeated=1):
        inner = "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in cells)
        return f'<table:table-row table:number-rows-repeated="{repeated}">{inner}</table:table-row>'

    body = f'<table:table table:name="Prices">{row("Item", "Price")}{row(repeated=3)}{row("Door", "10")}</table:table>'
    extracted = extract(tmp_path, "a.ods", open_document(body, kind="spreadsheet"))
    assert extracted.text == "## Prices\nItem | Price\nItem: Door; Price: 10"
    assert places(extracted, "row") == {"1": "Item | Price", "5": "Item: Door; Price: 10"}


def test_rtf_is_read_without_markup_hidden_and_deleted_text(tmp_path):
    source = (
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Times;}{\f1\fcharset204 Arial;}}{\stylesheet{\s1 heading 1;}}"
        r"{\header Contract 7\par}{\*\generator X;}"
        r"\pard\s1 Rent\par\pard The {\v secret }{\deleted old}price is 5\~\'80"
        r"{\footnote net} or {\f1 \'f0\'f3\'e1} \u8364?\emdash\par {\listtext 1.\tab}clause\par"
        r"\trowd\intbl Item\cell Price\cell\row\trowd\intbl Door\cell 10\cell\row\pard"
        r"{\field{\*\fldinst HYPERLINK x}{\fldrslt end}} 10{\super 6}\par}"
    )
    extracted = extract(tmp_path, "a.rtf", source)
    assert extracted.text.split("\n") == [
        "Contract 7",
        "# Rent",
        "The price is 5\u00a0€[1] or руб €—",
        "[1] net",
        "1.\tclause",
        "Item | Price",
        "Item: Door; Price: 10",
        "end 10^6",
    ]
    assert places(extracted, "heading") == {"Rent": "# Rent"}


def test_books_are_read_in_the_order_of_their_chapters(tmp_path):
    page = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{}</body></html>'
    parts = {
        "META-INF/container.xml": '<c xmlns="c"><rootfiles><rootfile full-path="B/b.opf"/></rootfiles></c>',
        "B/b.opf": '<package xmlns="p"><manifest><item id="z" href="z.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="a" href="a%20b.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/>'
        '<itemref idref="z"/></spine></package>',
        "B/a b.xhtml": page.format("<h1>One</h1><p>first</p>"),
        "B/z.xhtml": page.format("<h1>Two</h1>"),
    }
    extracted = extract(tmp_path, "a.epub", zipped(parts))
    assert extracted.text == "# One\nfirst\n# Two"
    assert places(extracted, "heading") == {"One": "# One", "Two": "# Two"}
    protected = '<encryption xmlns="e"><CipherReference URI="B/z.xhtml"/></encryption>'
    with pytest.raises(DocumentError, match="it is encrypted"):
        extract(tmp_path, "b.epub", zipped({**parts, "META-INF/encryption.xml": protected}))


def test_messages_have_their_header_body_and_attachments(tmp_path):
    inner = EmailMessage()
    inner["Subject"] = "Inner"
    inner.set_content("inner text")
    message = EmailMessage()
    message["From"], message["Subject"] = "Jörg <j@a.example>", "Kündigung"
    message.set_content("plain käse\n")
    message.add_alternative("<p>html</p>", subtype="html")
    message.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="t.csv")
    message.add_attachment(inner)
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="p.png")
    extracted = extract(tmp_path, "a.eml", bytes(message))
    assert extracted.text.split("\n") == [
        "From: Jörg <j@a.example>",
        "Subject: Kündigung",
        "",
        "plain käse",
        "## Attachment: t.csv",
        "a,b",
        "a: 1; b: 2",
        "## Attached message",
        "Subject: Inner",
        "",
        "inner text",
        "## Attachment: p.png",
    ]
    assert extracted.warnings == ("the attachment p.png has no text that can be read",)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=6))
def test_written_sheets_come_back_complete_in_order_and_once(tmp_path, shape):
    words, rows = [], [["first", "second", "third", "fourth"]]
    for row in filter(any, shape):
        rows.append([])
        for filled in row:
            words += [f"w{len(words)}x"] if filled else []
            rows[-1].append(words[-1] if filled else None)
    assert words_in_order(words, text_of(tmp_path, "a.xlsx", saved(workbook(rows))))


@pytest.mark.parametrize(("suffix", "newer"), [(".doc", ".docx"), (".xls", ".xlsx"), (".ppt", ".pptx")])
def test_files_of_before_2007_are_refused_with_the_format_to_save_them_in(tmp_path, suffix, newer):
    with pytest.raises(DocumentError, match=f"before 2007; save it as {newer}"):
        text_of(tmp_path, f"old{suffix}", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "Ninety days" in text_of(tmp_path, f"text{suffix}", rb"{\rtf1\ansi Ninety days.}")

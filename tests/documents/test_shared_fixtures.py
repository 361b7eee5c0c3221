"""Small documents that lose facts in common readers: what must be in their text, and what must not.

The files lie beside the repository in `shared/fixtures/documents`, or where SHAREDLLM_FIXTURES says. The other tests of
this folder write files of the same kinds themselves.
"""

import os
from pathlib import Path

import pytest

from sharedllm_core.errors import DocumentError
from sharedllm_core.text.documents.formats import extract_text

BESIDE = Path(__file__).parents[3] / "shared" / "fixtures"
FOLDER = Path(os.environ.get("SHAREDLLM_FIXTURES", BESIDE)) / "documents"

EXPECTED = {
    "docx_tracked_insert.docx": (["The notice period is 90 days for either party."], ["30"]),
    "docx_content_controls.docx": (["Employee: Maria Keller", "The salary is 4,350 euros a month."], []),
    "docx_header_footer.docx": (["Contract No. 2024-117 between", "Clause 1. Rent", "Confidential, version 7"], []),
    "docx_equation.docx": (["The formula is E=mc^2"], []),
    "docx_multiline_cells.docx": (["Item: Door Window; Price: 10 20"], []),
    "docx_short_row_vmerge.docx": (["ninety days", "Item", "Rent", "Signed in Bremen."], []),
    "docx_hidden_text.docx": (["Visible."], ["Hidden", "99"]),
    "html_comment_pre_form.html": (
        [
            "# Lease",
            "Item: Rent; 2023: ; 2024: 1,250",
            "def f(x):\n    if x:\n        return 1\n\n    return 2",
            "10^6",
            "m^2",
            "2. Second clause",
            "Maria Keller",
            "Notes here",
            "Chart: revenue 2024 was 5.2 million",
            "https://example.com/terms",
            "Detail text",
        ],
        ["PUBLISH", "DOCTYPE", "Hidden", "Display none", "106"],
    ),
    "UPPER.HTML": (["upper html"], ["<p>"]),
    "page.xhtml": (["The rent is 1,250."], ["color"]),
    "csv_semicolon_de.csv": (["Name: Keller, Maria; Abteilung: Einkauf; Gehalt: 4.350,00"], []),
    "csv_sep_line.csv": (["Name: Keller; City: Bremen"], ["sep="]),
    "csv_no_header.csv": (["2024-01-01 | Keller | 1200", "2024-02-01 | Keller | 1250"], ["2024-01-01:", "Keller:"]),
    "csv_multiline_cell.csv": (["id: 1; address: 12 Alder Lane Bremen; rent: 900"], []),
    "csv_short_rows.csv": (["a: 1; b: 2; c: \n", "a: 1; b: 2; c: 3; 4; 5"], []),
    "csv_utf16_excel.csv": (["Name: Keller; City: Bremen"], ["\0"]),
    "csv_empty_headers.csv": (["Rent; 2023: 1200; 2024: 1250", "Heat; 2023: 100; 2024: "], []),
    "csv_unclosed_quote.csv": (
        ['id: 1; size: 3" pipe; price: 10', 'id: 2; size: "4 pipe; price: 20', "id: 3; size: 5 pipe; price: 30"],
        [],
    ),
    "json_numbers.json": (["1.10", "12345678901234567890.12", "1E+2", "3.141592653589793238462643", "-0.0"], []),
    "json_duplicate_keys.json": (['"fee": 100', '"fee": 250'], []),
    "json_lines.json": (['{"a":1}\n{"a":2}'], []),
    "json_comments.json": (["// tsconfig", '"strict": true'], []),
    "json_surrogate.json": (["caf\ufffd", "half an emoji"], []),
    "jsonl_ok.jsonl": (['{"a":1}\n{"a":2}'], []),
    "nb_outputs.ipynb": (["# Title", "print(6*7)", "42", "0.3333"], []),
    "rtf_file.rtf": (["The notice period is ninety days.", "Rent: 1,250 €."], ["\\", "{", "Times"]),
}


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the fixtures are not beside the repository")
@pytest.mark.parametrize("name", EXPECTED)
def test_the_text_is_what_a_person_sees(name):
    text = extract_text(FOLDER / name).text
    wanted, unwanted = EXPECTED[name]
    for passage in wanted:
        assert text.count(passage) == 1, f"{passage!r} in {text!r}"
    for passage in unwanted:
        assert passage not in text


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the fixtures are not beside the repository")
def test_an_archive_under_another_name_is_refused():
    with pytest.raises(DocumentError, match=r"it is not a valid \.docx file"):
        extract_text(FOLDER / "zip_renamed.docx")

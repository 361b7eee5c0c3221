"""CSV and TSV files: each value unchanged, beside the name of its column."""

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .reading import extract, places, text_of

CASES = {
    "separators are recognized": (
        "Name;Ort;Preis\nKeller, Maria;Köln;4.350,00\nSommer, Jan;Ulm;120,50\n",
        ["Name: Keller, Maria; Ort: Köln; Preis: 4.350,00", "Name: Sommer, Jan; Ort: Ulm; Preis: 120,50"],
    ),
    "a first line names the separator": ("sep=;\na;b\n1,5;2\n", ["a: 1,5; b: 2"]),
    "tabs in a csv": ("a\tb\n1,5\t2\n", ["a: 1,5; b: 2"]),
    "a first data row is no header": (
        "1999-12-31,Ulm,5\n2000-01-01,Ulm,7\n",
        ["1999-12-31 | Ulm | 5", "2000-01-01 | Ulm | 7"],
    ),
    "years are column names above other numbers": (",2023,2024\nRent,10,12\n", ["Rent; 2023: 10; 2024: 12"]),
    "short and long rows": ("a,b\n1\n1,2,3\n", ["a: 1; b: ", "a: 1; b: 2; 3"]),
    "cells of several lines stay in their row": ('a,b\n"x\ny",2\n', ["a: x y; b: 2"]),
    "doubled quotes": ('a,b\n"say ""no""",2\n', ['a: say "no"; b: 2']),
    "a blank before a quote": ('a,b\n1, "x, y"\n', ["a: 1; b: x, y"]),
    "a quote that is not closed": ('a,b\n"4 pipe,20\n5,"c, d"\n', ['a: "4 pipe; b: 20', "a: 5; b: c, d"]),
    "a quote within a quoted value": ('a,b\n"a 3" pipe",20\n', ['a: a 3" pipe; b: 20']),
}


@pytest.mark.parametrize("case", CASES)
def test_values_stand_beside_their_column_names(tmp_path, case):
    content, rows = CASES[case]
    lines = text_of(tmp_path, "a.csv", content).split("\n")
    assert lines[-len(rows) :] == rows


def test_utf16_as_excel_writes_it_is_read(tmp_path):
    assert text_of(tmp_path, "a.csv", "Name,City\nKeller,Köln\n".encode("utf-16")).endswith("Name: Keller; City: Köln")


def test_rows_are_places_and_a_quote_that_is_not_closed_is_a_warning(tmp_path):
    extracted = extract(tmp_path, "a.csv", 'name,price\n\nbolt,1\n"nut,2\n')
    assert places(extracted, "row") == {
        "1": "name,price",
        "3": "name: bolt; price: 1",
        "4": 'name: "nut; price: 2',
    }
    assert extracted.warnings == ("row 4 has a quote that is not closed",)


def test_many_quotes_that_are_not_closed_take_linear_time(tmp_path):
    content = "a,b\n" + '"x,1\n' * 50_000
    assert text_of(tmp_path, "a.csv", content).count('a: "x; b: 1') == 50_000


VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(",;\t|"), st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=6))
def test_written_tables_come_back_complete_and_in_order(tmp_path, separator, rows):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([["first", "second", "third"], *rows])
    lines = text_of(tmp_path, "a.csv", "\ufeff" + file.getvalue()).split("\n")
    assert lines[1:] == [f"first: {a}; second: {b}; third: {c}" for a, b, c in rows]

"""JSON as written, and notebooks with their outputs."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_core.errors import DocumentError

from .reading import extract, places, text_of


def test_numbers_equal_keys_and_comments_stay_as_written(tmp_path):
    source = '/* rates */ {"fee": 1.10, "fee": 12345678901234567890.12, // old\n"x": [-0.0, 1E+2,], }'
    assert text_of(tmp_path, "a.json", source) == (
        '/* rates */\n{\n "fee": 1.10,\n "fee": 12345678901234567890.12,\n // old\n "x": [\n  -0.0,\n  1E+2,\n ],\n}'
    )


def test_escapes_are_resolved_and_half_characters_replaced(tmp_path):
    assert text_of(tmp_path, "a.json", r'{"gr\u00f6\u00dfe": "a\tb \ud83d\ude00 \ud83d"}') == (
        '{\n "größe": "a\\tb \U0001f600 \ufffd"\n}'
    )


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson"])
def test_json_lines_stay_lines_and_are_places(tmp_path, name):
    extracted = extract(tmp_path, name, '{"a": 1}\n\n{"a":\t"\\u00e9"}\n')
    assert extracted.text == '{"a": 1}\n{"a":\t"é"}'
    assert places(extracted, "line") == {"1": '{"a": 1}', "3": '{"a":\t"é"}'}


def test_a_damaged_line_of_json_lines_is_kept_with_a_warning(tmp_path):
    extracted = extract(tmp_path, "a.jsonl", '{"a": 1}\n{"a": \n')
    assert extracted.text == '{"a": 1}\n{"a": '
    assert extracted.warnings == ("line 2 is not valid JSON and is kept as it stands",)


def test_places_name_the_line_of_the_file(tmp_path):
    extracted = extract(tmp_path, "a.json", '{"a": 1, "b": 2,\n\n "c": 3}')
    assert places(extracted, "line") == {"1": "{", "3": ' "c": 3'}


@pytest.mark.parametrize("source", ["{", '{"a" 1}', "[1 2]", '{"a": }', "[1]]", '["a]', "{1: 2}", "nul", '{"a",}'])
def test_what_is_no_json_is_refused(tmp_path, source):
    with pytest.raises(DocumentError, match=r"it is not a valid .json file \(line 1"):
        extract(tmp_path, "a.json", source)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES, st.booleans())
def test_json_means_the_same_as_before(tmp_path, value, ascii_only):
    source = json.dumps(value, ensure_ascii=ascii_only)
    text = text_of(tmp_path, "a.json", source.encode("utf-8", "surrogatepass"))
    assert repr(json.loads(text)) == repr(value)


def notebook(*cells):
    return json.dumps({"cells": list(cells)})


def test_notebooks_have_markdown_code_and_outputs(tmp_path):
    table = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td></td></tr></table>"
    extracted = extract(
        tmp_path,
        "a.ipynb",
        notebook(
            {"cell_type": "markdown", "source": ["# Title\n", "Text"]},
            {
                "cell_type": "code",
                "source": "print(6*7)",
                "outputs": [
                    {"output_type": "stream", "text": ["42\n"]},
                    {"output_type": "execute_result", "data": {"text/plain": "   a  b", "text/html": [table]}},
                    {"output_type": "error", "ename": "ValueError", "evalue": "\x1b[31mbad\x1b[0m"},
                    {"output_type": "display_data", "data": {"image/png": "aGVsbG8="}},
                ],
            },
        ),
    )
    assert extracted.text == (
        "# Title\nText\n\nprint(6*7)\nOutput:\n42\nOutput:\na | b\na: 1; b: \nOutput:\nValueError: bad"
    )
    assert places(extracted, "cell") == {"1": "# Title", "2": "print(6*7)"}


def test_notebooks_of_the_third_format_are_read(tmp_path):
    cells = [{"cell_type": "code", "input": ["1+1"], "outputs": [{"output_type": "pyout", "text": ["2"]}]}]
    assert text_of(tmp_path, "a.ipynb", json.dumps({"worksheets": [{"cells": cells}]})) == "1+1\nOutput:\n2"

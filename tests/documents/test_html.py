"""HTML pages: what a browser shows, in time linear in their size."""

import html
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharedllm_core.errors import DocumentError

from .reading import extract, places, text_of, words_in_order

CASES = {
    "comments, instructions and scripts": ("a<!-- b --><?php c ?><![CDATA[d]]><script>e</script><style>f</style>", "a"),
    "hidden elements": (
        "a<p hidden>b</p><p style='color:red; display : none'>c</p><i style='visibility:hidden'>d</i>"
        "<template>e</template><noscript>f</noscript><input type=hidden value=g>",
        "a",
    ),
    "indentation of preformatted text": ("<pre>if x:\n    y\n\n  z</pre>", "if x:\n    y\n\n  z"),
    "empty cells": (
        "<table><tr><th>a<th>b<th>c<tr><td>1<td><td>3</table>",
        "a | b | c\na: 1; b: ; c: 3",
    ),
    "spans": (
        "<table><tr><th>a<th>b<th>c<tr><td rowspan=2>x<td colspan=2>y<tr><td>1<td>2</table>",
        "a | b | c\na: x; b: y; c: \na: ; b: 1; c: 2",
    ),
    "two rows of names": (
        "<table><thead><tr><th>a<th colspan=2>b<tr><th><th>c<th>d</thead><tr><td>1<td>2<td>3</table>",
        "a | b c | d\na: 1; b c: 2; d: 3",
    ),
    "names without header cells": (
        "<table><tr><td>Item<td>Price<tr><td>Door<td>10<tr><td>Lock<td>20</table>",
        "Item | Price\nItem: Door; Price: 10\nItem: Lock; Price: 20",
    ),
    "data without names": ("<table><tr><td>Rent<td>900<tr><td>Heat<td>80</table>", "Rent | 900\nHeat | 80"),
    "tables that arrange the page": (
        "<table><tr><td><h2>News</h2><p>one<td><table><tr><td>Rent<td>900</table></table>",
        "## News\none\nRent | 900",
    ),
    "superscripts": ("10<sup>6</sup> m<sup>2</sup>, 19<sup>th</sup>, H<sub>2</sub>O", "10^6 m^2, 19th, H2O"),
    "list numbers": (
        "<ol start=3><li>a<ul><li>b</ul><li>c</ol><ol type=i><li>d<li value=5>e</ol><ol reversed><li>f<li>g</ol>",
        "3. a\n  - b\n4. c\ni. d\nv. e\n2. f\n1. g",
    ),
    "form values": (
        "<input value='Ann'><textarea>x\n y</textarea><select><option>A<option selected>B</select>"
        "<input type=checkbox checked> yes",
        "Ann\nx\n y\nB [x] yes",
    ),
    "pictures and links": (
        "<img alt='5 million' src=x><a href='https://a.example/t'>terms</a> <a href='#x'>up</a>"
        "<a href='mailto:a@b.example'>a@b.example</a>",
        "[image: 5 million] terms (https://a.example/t) upa@b.example",
    ),
    "deleted text is marked": ("<del>30</del><ins>90</ins> days", "~~30~~90 days"),
    "invisible characters": ("Kün\u00addigung&nbsp;zum\u200bEnde", "Kündigung zumEnde"),
    "headings": ("<h1>A <b>b</b></h1>x<h3>C</h3>y", "# A b\nx\n### C\ny"),
    "formulas": (
        "<math><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></math>",
        "E=mc^2",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_text_is_what_a_browser_shows(tmp_path, case):
    page, expected = CASES[case]
    assert text_of(tmp_path, "a.html", f"<!DOCTYPE html><html><head><title>t</title></head><body>{page}") == expected


def test_xhtml_elements_that_end_at_once_do_not_swallow_the_page(tmp_path):
    page = (
        "<?xml version='1.0'?><html xmlns='x'><head><title/><script src='a'/></head><body><p/><p>a<![CDATA[<b>]]></p>"
    )
    assert text_of(tmp_path, "a.xhtml", page) == "a<b>"
    assert text_of(tmp_path, "A.HTML", page) == "a<b>"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-16"),
        ("<meta charset=windows-1251>", "cp1251"),
        ("<meta http-equiv=Content-Type content='text/html; charset=Shift_JIS'>", "shift_jis"),
        ("<meta charset=windows-1251>", "utf-8"),
    ],
)
def test_declared_and_marked_encodings_are_read(tmp_path, head, encoding):
    text = "\u043f\u043b\u0430\u0442\u0430" if encoding != "shift_jis" else "\u8cc3\u6599"
    assert text_of(tmp_path, "a.html", f"{head}<p>{text}".encode(encoding)) == text


def test_headings_are_places(tmp_path):
    assert places(extract(tmp_path, "a.html", "<h1>A</h1>x<h2>B  b</h2>"), "heading") == {"A": "# A", "B b": "## B b"}


@pytest.mark.parametrize(
    "part",
    [
        "<tr><td>row<td>7<td></tr>",
        "<li>x",
        "<p>a<sup>2</sup>",
        "<a href=b>c",
        "x<!--",
        "&lt",
        "<option>",
        "<td><h1>x</h1>",
    ],
)
def test_time_is_linear_in_the_size(tmp_path, part):
    def seconds(times):
        start = time.process_time()
        extract(tmp_path, "a.html", "<table><ul>" + part * times)
        return time.process_time() - start

    seconds(10)
    assert seconds(16_000) < 8 * max(seconds(4_000), 0.15)


def test_elements_nested_without_end_are_refused(tmp_path):
    with pytest.raises(DocumentError, match="its elements are nested more than 4,000 deep"):
        extract(tmp_path, "a.html", "<div>" * 100_000)


WORDS = st.lists(st.integers(0, 10**6), min_size=1, max_size=4)
BLOCKS = st.recursive(
    st.tuples(st.sampled_from(["p", "h2", "pre", "li", "div", "td", "b", "span", "textarea"]), WORDS),
    lambda inner: st.tuples(
        st.sampled_from(["div", "ul", "ol", "table", "blockquote", "section"]), st.lists(inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BLOCKS, max_size=5))
def test_written_pages_come_back_complete_in_order_and_once(tmp_path, blocks):
    words = []

    def write(block):
        tag, inner = block
        if inner and isinstance(inner[0], tuple):
            content = " ".join(write(part) for part in inner)
        else:
            start = len(words)
            words.extend(f"w{start + place}x{word}" for place, word in enumerate(inner))
            content = html.escape(" ".join(words[start:]))
        if tag == "td":
            return f"<table><tr><td>{content}</td></tr></table>"
        return f"<{tag}>{'<tr><td>' if tag == 'table' else ''}{content}{'</td></tr>' if tag == 'table' else ''}</{tag}>"

    page = "".join(write(block) for block in blocks)
    assert words_in_order(words, text_of(tmp_path, "a.html", page))

"""`inspect`: a table, JSON, and a page that stands alone."""

import json
import re
from html.parser import HTMLParser

import pytest

ASK = ["--question", "Who pays <b>&</b>?", "--max-new-tokens", "4"]
_VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Elements in balance, their text by kind, their links."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.kinds, self.links, self.ids, self.texts, self.title = [], set(), [], set(), [], ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.kinds.add(tag)
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.ids.add(found.get("id"))
        if tag not in _VOID:
            self.open.append((tag, found.get("class")))
        if found.get("class") == "text":
            self.texts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if ("div", "text") in self.open:
            self.texts[-1] += data
        if self.open and self.open[-1][0] == "title":
            self.title += data


def test_the_table_shows_every_retained_node_in_80_columns(sharedllm):
    result = sharedllm("inspect", "docs", *ASK)
    assert result.exit_code == 0, result.stderr
    table, rest = result.stdout.split("Answer: ")
    assert table.splitlines()[0] == "docs/0.txt"
    assert max(len(line) for line in table.splitlines()) <= 80
    nodes = [line for line in table.splitlines() if re.match(r" +\d", line)]
    found = json.loads(sharedllm("inspect", "docs", *ASK, "--json").stdout)
    assert len(nodes) == sum(len(document["nodes"]) for document in found["documents"])
    assert "[1] docs/" in rest
    assert result.stderr.splitlines()[-1] == "Warning: the answer was cut off after 4 tokens; raise --max-new-tokens"


def test_a_narrow_terminal_keeps_level_attention_and_text(sharedllm, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    table = sharedllm("inspect", "docs", *ASK).stdout.split("Answer: ")[0].splitlines()
    assert table[1].split() == ["level", "attention", "text"]
    assert max(len(line) for line in table) <= 40
    nodes = [line for line in table if re.match(r" +\d", line)]
    assert nodes
    assert all(re.search(r"[a-z]{3}", line) for line in nodes), "each row shows text"


def test_the_nodes_in_json_tile_the_text(sharedllm, folder):
    found = json.loads(sharedllm("inspect", "docs", *ASK, "--json").stdout)
    assert [document["id"] for document in found["documents"]] == ["docs/0.txt", "docs/1.txt", "docs/2.txt"]
    for document in found["documents"]:
        bounds = [0, *(node["end"] for node in document["nodes"])]
        assert [node["start"] for node in document["nodes"]] == bounds[:-1]
        assert bounds[-1] == len((folder / document["id"]).read_text())
        assert {node["level"] for node in document["nodes"]} <= set(range(found["tree_depth"] + 1))
    states = sum(node["states"] for document in found["documents"] for node in document["nodes"])
    assert states == found["usage"]["injected_states"]


def test_the_page_stands_alone_is_well_formed_and_holds_every_text(sharedllm, folder):
    text = "Rent <script>alert(1)</script> & deposit \"paid\" 'late' größer </div></span> &amp; tenant. " * 3
    (folder / "docs" / "a<b>&.txt").write_text(text)
    result = sharedllm("inspect", "docs", *ASK, "--html", "page.html")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "written to page.html" in result.stderr
    html = (folder / "page.html").read_text()
    page = Page(html)
    assert page.texts == [path.read_text() for path in sorted((folder / "docs").iterdir())]
    assert page.title == "Who pays <b>&</b>?"
    assert not page.kinds & {"script", "link", "img", "iframe", "b"}
    assert not re.search(r"https?:|url\(|@import", html)
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links), "each leads to its evidence"


def test_the_page_and_json_come_together(sharedllm, folder):
    result = sharedllm("inspect", "docs", *ASK, "--html", "page.html", "--json")
    assert json.loads(result.stdout)["question"] == "Who pays <b>&</b>?"
    assert (folder / "page.html").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["docs"], 2, "Missing option '--question'"),
        (["docs", "-q", " "], 2, "it is empty; give a question"),
        (["-q", "Who?"], 2, "Missing argument"),
        (["none", "-q", "Who?"], 1, "none does not exist"),
        (["docs", "-q", "Who?", "--html", "none/page.html"], 2, "the folder of none/page.html does not exist"),
        (["docs", "-q", "Who?", "--html", "docs"], 2, "'docs' is a directory"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_read(sharedllm, folder, arguments, code, said):
    result = sharedllm("inspect", *arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert not (folder / "cache").exists()


def test_an_untrained_model_is_refused(sharedllm, untrained):
    result = sharedllm("inspect", "docs", *ASK, "--model", untrained, "--reading", "injected")
    assert (result.exit_code, "sharedllm train" in result.stderr) == (1, True)

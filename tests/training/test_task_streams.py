"""The same tasks everywhere, from any texts, in whole files, and errors that name what is wrong."""

import json
import lzma
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core.errors import ConfigError, DocumentError
from sharedllm_core.training.tasks import KINDS, FillerTexts, TaskSettings, generate_tasks, read_texts, write_tasks
from sharedllm_core.training.tasks.borders import nearest_border
from tests.training.reading_tasks import tasks, whole

ROOT = Path(__file__).parents[2]
OWN_KIND = replace(KINDS["price"], name="rent")


# The same everywhere


def test_the_same_seed_gives_the_same_bytes_in_any_process_that_needs_no_torch():
    code = (
        "import sys, types\n"
        "sys.modules['torch'] = None\n"
        "package = sys.modules['sharedllm_core'] = types.ModuleType('sharedllm_core')\n"
        "package.__path__ = ['sharedllm_core']\n"
        "from sharedllm_core.training.tasks import *\n"
        "for t in generate_tasks(None, TaskSettings(length=3000, questions_per_set=3), 7, count=30): print(t.to_json())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONIOENCODING": "utf-8"},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    [output] = outputs
    assert len(output.splitlines()) == 30
    assert tasks(1, seed=8, length=3_000)[0].to_json() not in output.decode()


class Again:
    """Texts that can be read again and again but not by number."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return islice(FillerTexts(), self.count)


@pytest.mark.parametrize("texts", [None, Again(5), Again(40)], ids=["a sequence", "a few texts", "more than a window"])
def test_a_stream_goes_on_anywhere(texts):
    options = {"texts": texts, "questions_per_set": 3, "length": 3_000}
    everything = [task.to_json() for task in tasks(40, **options)]
    for start in (1, 3, 17):
        assert [task.to_json() for task in tasks(40 - start, start=start, **options)] == everything[start:]


def test_a_stream_has_no_end():
    stream = generate_tasks(iter(Again(3)), TaskSettings(length=3_000))
    assert next(islice(stream, 150, None)).index == 150


def test_no_more_texts_are_read_than_a_window():
    read = []

    def texts():
        for number in range(10_000):
            read.append(number)
            yield FillerTexts()[number]

    list(generate_tasks(texts(), TaskSettings(length=3_000), count=5))
    assert len(read) < 60


def test_a_line_of_json_holds_the_whole_task():
    [task] = tasks(1)
    assert "\n" not in task.to_json()
    assert json.loads(task.to_json()) == vars(task)


# Real texts


def test_titles_name_documents_and_passages_are_whole_paragraphs():
    texts = [{"title": f"book {n}", "text": FillerTexts()[n]["text"]} for n in range(20)]
    [task] = tasks(1, texts=texts, forms=("single",), length=12_000, passage_characters=(1_000, 2_000))
    known = {text["title"]: text["text"].split("\n\n") for text in texts}
    for document in task.documents[:-1]:
        assert document["text"].split("\n\n")[0].split(". ")[0] in known[document["id"].split(" (")[0]][0] or any(
            paragraph.startswith(document["text"][:40]) for paragraph in known[document["id"].split(" (")[0]]
        )


def test_a_name_that_the_texts_hold_is_not_asked_for():
    [first] = tasks(1, forms=("single",))
    asked = first.answer
    text = f"Long ago somebody wrote {asked} on a wall. " + FillerTexts()[1]["text"]
    for task in tasks(5, texts=[text] * 3, forms=("single",)):
        assert task.answer != asked


@given(text=st.text(alphabet="ab. \n!A", max_size=300), place=st.integers(0, 300))
def test_a_border_lies_in_the_text_and_never_in_a_word_if_there_is_another(text, place):
    border = nearest_border(text, min(place, len(text)))
    assert 0 <= border <= len(text)
    if 0 < border < len(text):
        assert text[border].isspace() or not text[border - 1].isalnum()


def test_abbreviations_and_numbers_of_lists_end_no_sentence():
    text = "He met Mr. Smith and Dr. Jones of St. Ives. Then he left."
    assert nearest_border(text, 30) == text.index(" Then")
    assert nearest_border("1. One thing. Two things. 3. Three", 3) == 0


# Files


def write_rows(path, *rows):
    path.write_bytes(b"\n".join(rows))
    return path


def test_texts_are_read_from_json_lines_packed_or_not(tmp_path):
    plain = write_rows(tmp_path / "a.jsonl", b'{"title": "one", "text": "First."}', b"", '{"text": "Größe"}'.encode())
    packed = tmp_path / "b.jsonl.xz"
    packed.write_bytes(lzma.compress(b'{"title": "two", "text": "Second."}\n'))
    texts = read_texts([plain, packed])
    assert [text["text"] for text in texts] == ["First.", "Größe", "Second."]
    assert [text["text"] for text in texts] == ["First.", "Größe", "Second."], "they can be read again"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"{oops", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "a list"),
        (b'{"title": "x", "body": 1}', "['body', 'title']"),
        (b'{"text": 5}', 'string "text"'),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, row, says):
    path = write_rows(tmp_path / "bad.jsonl", b'{"text": "fine"}', row)
    with pytest.raises(DocumentError, match=r"bad\.jsonl, line 2") as error:
        list(read_texts(path))
    assert says in str(error.value)


def test_a_damaged_or_missing_file_is_named(tmp_path):
    packed = tmp_path / "cut.jsonl.xz"
    packed.write_bytes(lzma.compress(b'{"text": "fine"}\n' * 50)[:-9])
    with pytest.raises(DocumentError, match="damaged"):
        list(read_texts(packed))
    with pytest.raises(DocumentError, match="is no file"):
        read_texts(tmp_path / "none.jsonl")


def test_tasks_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "tasks.jsonl"
    chosen = TaskSettings(length=3_000, questions_per_set=2)
    write_tasks(path, None, chosen, seed=1, count=5)
    assert path.read_text(encoding="utf-8").splitlines() == [
        task.to_json() for task in generate_tasks(None, chosen, 1, count=5)
    ]
    before = path.read_bytes()
    bad = write_rows(tmp_path / "bad.jsonl", b"oops")
    with pytest.raises(DocumentError):
        write_tasks(path, read_texts(bad), chosen, seed=1, count=5)
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"tasks.jsonl", "bad.jsonl"}


# Errors


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"length": 10}, "length=10"),
        ({"questions_per_set": 0}, "questions_per_set=0"),
        ({"forms": ("riddle",)}, "'riddle'"),
        ({"forms": ()}, "forms is empty"),
        ({"forms": "single"}, "is a string"),
        ({"kinds": ("colour",)}, "'colour'"),
        ({"kinds": ("melting_point",)}, "name more kinds"),
        ({"kinds": ("price",), "forms": ("two_hop",)}, "two_hop"),
        ({"split": "test"}, "split='test'"),
        ({"held_out": "kind"}, "use split='held_out'"),
        ({"split": "held_out", "held_out": "all"}, "held_out='all'"),
        ({"depth": 1.5}, "depth=1.5"),
        ({"distractors": -1}, "distractors=-1"),
        ({"passage_characters": (900, 300)}, "passage_characters"),
        ({"further_kinds": (KINDS["price"],)}, "'price', a name that another kind has"),
        ({"further_kinds": (OWN_KIND, OWN_KIND)}, "'rent', a name that another kind has"),
        ({"further_kinds": (OWN_KIND,), "split": "held_out"}, "split='held_out'"),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_remedy(options, says):
    with pytest.raises(ConfigError, match=re.escape(says)) as error:
        TaskSettings(**options)
    assert re.search("use|name|write|give|must be", str(error.value))


def test_more_facts_than_fit_are_refused():
    with pytest.raises(ConfigError, match="fewer questions_per_set"):
        tasks(1, questions_per_set=60, length=2_000)


def test_facts_are_chosen_to_fit_so_that_a_stream_does_not_fail_late():
    for task in tasks(400, questions_per_set=8, length=6_000):
        assert len(whole(task)) < 6_300


@pytest.mark.parametrize(
    "texts",
    [[], iter([]), ["", "  "], [5], [{"title": "x"}], "one text", {"text": "one"}],
    ids=["none", "iterator", "white space", "number", "title", "string", "mapping"],
)
def test_texts_that_are_none_are_refused(texts):
    with pytest.raises(DocumentError):
        tasks(1, texts=texts)


def test_negative_numbers_are_refused():
    for wrong in ({"start": -1}, {"count": -2}):
        with pytest.raises(ConfigError, match="is not a whole number of at least 0; give one"):
            generate_tasks(None, TaskSettings(), **wrong)
    with pytest.raises(ConfigError, match="count=0"):
        write_tasks("unused", None, TaskSettings(), 0, 0)

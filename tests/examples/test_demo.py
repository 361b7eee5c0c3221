"""`make demo` as a user runs it, with real weights and few questions."""

import re
from functools import partial

import pytest

from tests.examples.running import run_here
from tests.real_models import smollm2_cache, smollm2_folder


@pytest.fixture
def run(monkeypatch):
    smollm2_folder()
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(smollm2_cache()))  # as --cache sets it, and undone
    return partial(run_here, "demo/demo.py", "--cache", smollm2_cache())


def test_it_answers_from_pythons_reference_and_says_what_was_read_and_where_it_stands(run):
    shown = run("--ask", "Which method is called to create a new instance of a class?")
    assert int(re.search(r"^([\d,]+) tokens read", shown, re.MULTILINE)[1].replace(",", "")) > 80_000
    assert 50 < int(re.search(r"read: ([\d,]+) of", shown)[1]) <= 420
    assert re.search(r"^A: .*__new__", shown, re.MULTILINE)
    assert re.search(r"\[reference: [\w-]+\] ", shown)


def test_it_takes_questions_and_documents_of_the_users(run, tmp_path):
    (tmp_path / "note.txt").write_text("The mayor of Redwold is Ida Marlberg.")
    shown = run("--docs", tmp_path / "note.txt", "--ask", "Who is the mayor of Redwold?", "Where does she live?")
    assert shown.count("Q: ") == 2
    assert re.search(r"^A: .*Marlberg", shown, re.MULTILINE)

"""`make demo` as a user runs it, at a small size."""

import re

from tests.examples import running


def run(*arguments, how=running.run_here):
    return how("demo/demo.py", "--sections", 2, *arguments)


def test_questions_are_answered_with_evidence_and_a_second_run_finds_the_trees(tmp_path):
    first = run("--cache", tmp_path, "--questions", 4)
    second = run("--cache", tmp_path, "--questions", 4, how=running.run_in_own_process)
    assert len(re.findall(r"^Q: ", first, re.MULTILINE)) == 4
    assert len(re.findall(r"Evidence \(\w+\.md\): ", first)) == 4
    assert re.search(r"\d of 4 answers are what the handbook says", first)
    assert answers(first) == answers(second)
    assert re.search(r"\n[\d,]+ tokens read in .*, 0 were in the cache", first)
    assert "\n0 tokens read in" in second


def answers(shown):
    return re.findall(r"^A: (.*?)   \(", shown, re.MULTILINE)


def test_it_takes_questions_and_documents_of_the_users(tmp_path):
    (tmp_path / "note.txt").write_text("The mayor of Redwold is Ida Marlberg.")
    shown = run("--docs", tmp_path / "note.txt", "--ask", "Who is the mayor of Redwold?")
    assert "Library(1 documents" in shown
    assert shown.count("Q: ") == 1

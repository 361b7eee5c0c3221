"""The demonstration runs as a user runs it."""

import re

from tests import tiny_engine
from tests.examples.running import run_here


def test_it_reads_the_standard_library_once_and_answers_from_memory_and_from_disk():
    shown = run_here("ask_documents.py", "--bytes", 40_000, "--layers", 2, "--hidden", 128)
    cached = [
        (int(read.replace(",", "")), int(had.replace(",", "")))
        for read, had in re.findall(r"([\d,]+) tokens of documents, ([\d,]+) of them cached", shown)
    ]
    assert [had for _, had in cached] == [0, cached[0][0], cached[0][0]]
    assert re.search(r"times sooner.*\n", shown)
    assert re.search(r"\.py, characters [\d,]+ to [\d,]+, \d+%", shown)


def test_it_takes_a_model_and_documents_of_the_users(tmp_path):
    model = tiny_engine.make_checkpoint(tmp_path)
    (tmp_path / "a.txt").write_text(tiny_engine.words(200))
    shown = run_here("ask_documents.py", "--model", model, "--docs", tmp_path / "a.txt")
    assert "random ones" not in shown
    assert "Library(1 documents" in shown

"""The LangChain examples as a user runs them, at a small size."""

import re

import pytest

from tests import real_models
from tests.examples import running


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    real_models.share_smollm2(tmp_path / "cache")
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def run(name, *arguments, how=running.run_here):
    return how(f"langchain/{name}.py", *arguments)


def test_existing_chains_are_answered_from_whole_documents():
    shown = run("drop_in", "--sections", 2, "--questions", 8)
    named = re.findall(r"^(.*): [\d.]+ s to the first token; .+ \(the handbook: .+\)$", shown, re.M)
    assert named == ["first", *["another"] * 5, *["documents reversed"] * 2]
    assert int(re.search(r"^(\d) of 8 right$", shown, re.M)[1]) >= 4
    assert len(re.findall(r"\d+ to \d+ times sooner than the first, median \d+$", shown, re.M)) == 2
    assert re.search(r"^retrieval chain: .+$", shown, re.M)


def test_a_folder_is_asked_side_by_side():
    shown = run("whole_folder", "--contracts", 5)
    assert len(re.findall(r"^lease \d: .+ \(it (says|does not say) so\)$", shown, re.M)) == 5


def test_an_agent_runs_and_a_tool_that_must_be_called_is_called_with_what_fits():
    shown = run("agent", "--sections", 1)
    assert shown.startswith("human: We need 12 door hinges.")
    assert re.search(r"^called: -?\d+ of '.*' are ordered\.$", shown, re.M | re.S)


def test_every_contract_gives_an_object_of_the_schema():
    shown = run("extract", "--contracts", 3)
    objects = re.findall(r"lease-\d\.txt: Lease\(tenant=.*, rent_euros=\d+, notice_days=\d+\)", shown)
    assert len(objects) == 3


def test_a_stream_ends_with_evidence_and_usage():
    shown = run("streaming", "--contracts", 3, how=running.run_in_own_process)
    assert re.search(r"^  \d+% .*lease-\d\.txt: .+$", shown, re.M)
    assert "'cache_read'" in shown

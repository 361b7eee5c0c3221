"""Runs that are stopped go on, and what cannot be measured is a result."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sharedllm_core import InputError
from sharedllm_core.evaluation.lookup import Lookup
from sharedllm_core.evaluation.needle import Needle
from sharedllm_core.evaluation.report import write_report
from sharedllm_core.evaluation.run import OUT_OF_MEMORY, read_rows, run
from sharedllm_core.evaluation.squad import Squad
from tests.evaluation.systems import (
    Citing,
    Forgetful,
    Oracle,
    Silent,
    Wrong,
    long_texts,
    settings,
    slow_run,
    squad_file,
)
from tests.tiny_engine import ROOT


def child(folder, seconds):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random"}
    arguments = [sys.executable, "-m", "tests.evaluation.systems", str(folder), str(seconds)]
    return subprocess.Popen(arguments, cwd=ROOT, env=environment)


def test_a_run_that_was_killed_goes_on_to_the_same_results(tmp_path):
    whole = slow_run(tmp_path / "whole", 0)
    process = child(tmp_path / "killed", 0.2)
    items = tmp_path / "killed" / "items.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and (not items.exists() or items.read_bytes().count(b"\n") < 5):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = items.read_bytes()
    lines = before.count(b"\n")
    assert 5 <= lines < 50, "it was killed in the middle"
    items.write_bytes(before[: before.rfind(b"\n") + 1] + b'{"measurement": "lookup", "sys')
    slow_run(tmp_path / "killed", 0)
    assert items.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    results = [(tmp_path / name / "results.json").read_bytes() for name in ("whole", "killed")]
    assert results[0] == results[1]
    assert json.loads(results[0]) == whole


def test_nothing_is_measured_twice_and_systems_and_measurements_can_be_added(tmp_path):
    chosen = settings(items=1)
    lines = []

    def results():
        """Lines about results; each item has a line when it begins, too."""
        return [line for line in lines if not line.endswith("…")]

    run([Lookup()], [Silent()], chosen, tmp_path, progress=lines.append)
    assert len(results()) == 2
    run([Lookup()], [Silent()], chosen, tmp_path, progress=lines.append)
    assert len(results()) == 2
    run([Lookup(), Needle()], [Silent(), Wrong()], chosen, tmp_path, progress=lines.append)
    assert len(results()) == 2 + 2 + 2 * 6
    assert len(read_rows(tmp_path)) == len(results()) == len(lines) / 2


def test_other_settings_are_refused_by_name(tmp_path):
    run([Lookup()], [Silent()], settings(items=1), tmp_path, about={"weights": "a"})
    with pytest.raises(InputError, match=r"other settings: items was 1 and is 2, seed was 0 and is 1; use another"):
        run([Lookup()], [Silent()], settings(items=2, seed=1), tmp_path, about={"weights": "a"})
    with pytest.raises(InputError, match="about was"):
        run([Lookup()], [Silent()], settings(items=1), tmp_path, about={"weights": "b"})


def test_out_of_memory_is_a_result(tmp_path):
    run([Lookup()], [Forgetful(), Silent()], settings(items=2), tmp_path)
    rows = {(row["system"], row["item"]): row for row in read_rows(tmp_path)}
    assert len(rows) == 8
    failed = [row for row in rows.values() if "error" in row]
    assert {(row["system"], row["labels"]["length"], row["error"]) for row in failed} == {
        ("forgetful", 1_200, OUT_OF_MEMORY)
    }
    found = write_report(tmp_path, plots=False)["results"]
    [cell] = [
        r for r in found if (r["system"], r["metric"], r["by"]) == ("forgetful", "exact", {"length": 1_200})
    ]  # fmt: skip
    assert (cell["mean"], cell["count"], cell["errors"]) == (None, 0, {OUT_OF_MEMORY: 2})
    assert "| forgetful | 0.000 [0.000, 0.490] n=4 | out of memory |" in (tmp_path / "results.md").read_text()


def test_what_cannot_be_measured_is_said_before_anything_is(tmp_path):
    chosen = settings(items=1, lengths=(50_000,), squad=squad_file(tmp_path))
    with pytest.raises(InputError, match="too few for sets of 50,000"):
        run([Needle(), Squad()], [Silent()], chosen, tmp_path)
    assert not read_rows(tmp_path)


def test_a_damaged_line_is_named(tmp_path):
    run([Lookup()], [Silent()], settings(items=1), tmp_path)
    path = tmp_path / "items.jsonl"
    path.write_text("{}\n" + path.read_text())
    with pytest.raises(InputError, match=r"items.jsonl, line 1: no result"):
        read_rows(tmp_path)


def test_systems_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="two have one name"):
        run([Lookup()], [Silent(), Silent()], settings(), tmp_path)


def test_a_file_of_texts_is_known_by_its_content(tmp_path):
    before = settings(texts=(long_texts(tmp_path),)).described()
    (tmp_path / "moved").mkdir()
    assert settings(texts=(long_texts(tmp_path / "moved"),)).described() == before
    assert settings(texts=(long_texts(tmp_path, count=3),)).described() != before


def test_an_oracle_s_run_reports_everything_right(tmp_path):
    chosen = settings(items=1)
    run([Needle()], [Oracle(Needle(), chosen)], chosen, tmp_path)
    assert {result["mean"] for result in write_report(tmp_path, plots=False)["results"]} == {1.0}


def test_progress_names_the_mean_of_each_metric_over_the_questions_that_have_it(tmp_path):
    chosen = settings(items=8)
    system = Citing(Lookup(), chosen)
    for item in Lookup().items(chosen):
        question = item.questions[0]
        system.known[system.key(item.documents, question.text)] = "zzz 0"  # a wrong answer has no score of evidence
    said = []
    run([Lookup()], [system], chosen, tmp_path, progress=said.append)
    assert any("exact 0.50, contains 0.50, evidence 1.00" in line for line in said)

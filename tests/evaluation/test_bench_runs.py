"""Runs of the measurement that are interrupted, go on, or have a budget of minutes."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from sharedllm_core import InputError, SharedLLMError
from sharedllm_core.cli.main import app
from sharedllm_core.evaluation.efficiency import EfficiencySettings, measure
from tests import tiny_engine

SHARED, FULL = "sharedllm, M = 2", "full attention"
SETTINGS = EfficiencySettings(
    model="tiny", lengths=(100, 200), systems=("sharedllm", "full_attention"), injection_layers=(2,), repeats=2
)


def kept_turns(folder):
    return [json.loads(line) for line in (folder / "turns.jsonl").read_text().splitlines()]


def places(folder):
    return [(turn["past_tokens"], turn["system"], turn["number"]) for turn in kept_turns(folder)]


def stand_in(folder, monkeypatch, answer, *, seconds=0.01):
    """A worker in a shell: it describes a model, writes requests into a file, and runs `answer` for each.

    A floor is a thousandth of the length in seconds, and twice that for full attention.
    """
    floors = {
        length: {SHARED: {"unread": length / 1_000}, FULL: {"unread": 2 * length / 1_000}} for length in (100, 200, 400)
    }
    description = {"own_injection_layers": 2, "weight_bytes": 8, "dtype": "float32", "floors": floors}
    figures = {"figures": {"unread": seconds, "state_bytes": 1}, "floors": {"unread": 0.1}, "rates": {}}
    (folder / "figures").write_text(json.dumps(figures) + "\n")
    (folder / "description").write_text(json.dumps(description) + "\n")
    interpreter = folder / "python"
    interpreter.write_text(
        f"#!/bin/sh\ncat {folder}/description\n"
        f'while read request; do echo "$request" >> {folder}/requests; {answer}; done\n'
    )
    interpreter.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(interpreter))


# ------------------------------------------------------------------------------------------------ going on


def test_a_run_goes_on_from_the_turns_of_its_folder(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, f"cat {tmp_path}/figures")
    out = tmp_path / "out"
    measure(replace(SETTINGS, lengths=(100,), systems=("sharedllm",), repeats=1), folder=out)
    before = (out / "turns.jsonl").read_text()
    with (out / "turns.jsonl").open("a") as file:
        file.write('{"past_tokens": 100, "system": "full at')  # of a run that was killed
    result = measure(SETTINGS, folder=out)
    assert (out / "turns.jsonl").read_text().startswith(before)
    everything = [(n, s, i) for n in (100, 200) for i in range(2) for s in (SHARED, FULL)]
    assert places(out) == everything
    assert [(row["past_tokens"], row["system"], row["runs"]) for row in result["rows"]] == [
        (n, s, 2) for n in (100, 200) for s in (SHARED, FULL)
    ]
    assert len((tmp_path / "requests").read_text().splitlines()) == len(everything)


def test_a_run_that_has_everything_starts_no_process(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, f"cat {tmp_path}/figures")
    own_layers = replace(SETTINGS, injection_layers=())  # known from the turns
    result = measure(own_layers, folder=tmp_path / "out")
    monkeypatch.setattr("sys.executable", str(tmp_path / "nothing"))
    lines = []
    again = measure(own_layers, progress=lines.append, folder=tmp_path / "out")
    assert again["rows"] == result["rows"]
    assert lines == []


def test_other_settings_are_refused_by_name(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, f"cat {tmp_path}/figures")
    measure(replace(SETTINGS, lengths=(100,)), folder=tmp_path / "out")
    with pytest.raises(InputError, match=r"other settings: new_tokens was 128 and is 5; use another"):
        measure(replace(SETTINGS, new_tokens=5), folder=tmp_path / "out")
    monkeypatch.setattr("os.cpu_count", lambda: 1000)
    with pytest.raises(InputError, match=r"cores was \d+ and is 1000"):
        measure(SETTINGS, folder=tmp_path / "out")


def test_a_failure_leaves_the_turns_before_it(tmp_path, monkeypatch):
    failing = 'echo "ValueError: no such kernel" >&2; exit 1'
    stand_in(tmp_path, monkeypatch, f'case "$request" in *200*) {failing};; *) cat {tmp_path}/figures;; esac')
    with pytest.raises(SharedLLMError, match="the measurement failed: ValueError: no such kernel"):
        measure(SETTINGS, folder=tmp_path / "out")
    assert len(places(tmp_path / "out")) == 4


def test_a_killed_command_loses_one_turn_and_the_same_command_goes_on(tmp_path):
    checkpoint = tiny_engine.make_checkpoint(tmp_path / "checkpoint")
    out = tmp_path / "out"
    arguments = ["bench", "--model", checkpoint, "--out", out, "--lengths", "100", "--systems", "full_attention"]
    arguments = [str(part) for part in (*arguments, "--new-tokens", 2, "--prompt-tokens", 8, "--repeats", 3)]
    process = subprocess.Popen(
        [sys.executable, "-m", "sharedllm_core", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    lines = []
    while not lines or b"s to the first token" not in lines[-1]:
        lines.append(process.stderr.readline())  # comes while the command runs
        assert lines[-1], b"".join(lines)
    os.kill(process.pid, signal.SIGKILL)
    printed = process.communicate()[0]
    assert printed == b""
    assert lines[0] == b"loading the model\n"
    assert lines[1].startswith(b"loaded in ")
    assert lines[2].startswith(b"      100 tokens, full attention, turn 1 of 3 begins, ")
    assert lines[3].startswith(b"      100 tokens, full attention, turn 1 of 3: ")
    assert b" so far, about " in lines[3]
    assert lines[3].endswith(b" to go\n")
    assert not any(byte in line for line in lines for byte in (b"\r", b"\x1b"))
    kept = kept_turns(out)
    assert kept
    assert json.loads((out / "efficiency.json").read_text())["rows"][0]["runs"] >= 1
    done = CliRunner().invoke(app, [*arguments, "--no-plots"])
    assert done.exit_code == 0, done.output
    assert kept_turns(out)[: len(kept)] == kept
    assert [number for _, _, number in places(out)] == [0, 1, 2]


# ------------------------------------------------------------------------------------------------ minutes


def test_a_command_with_a_budget_measures_in_the_order_of_importance(tmp_path):
    checkpoint = tiny_engine.make_checkpoint(tmp_path / "checkpoint")
    arguments = ["bench", "--model", checkpoint, "--out", tmp_path / "out", "--lengths", "40,60,80", "--repeats", 1]
    arguments += ["--new-tokens", 2, "--prompt-tokens", 8, "--window-tokens", 32, "--minutes", 30, "--no-plots"]
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    assert done.exit_code == 0, done.output
    others = ("encoder-decoder",)
    expected = [(n, s, 0) for systems in ((SHARED, FULL), others) for n in (40, 80, 60) for s in systems]
    assert places(tmp_path / "out") == expected
    assert "skipped" not in done.stdout


def test_what_does_not_fit_into_the_minutes_is_skipped_with_a_reason(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, f"cat {tmp_path}/figures", seconds=400.0)  # for a floor of 0.1 s
    lines = []
    chosen = replace(SETTINGS, lengths=(100, 200, 400), minutes=10, repeats=1)
    result = measure(chosen, progress=lines.append, folder=tmp_path / "out")
    outcomes = {(row["past_tokens"], row["system"]): row.get("runs") or row["skipped"] for row in result["rows"]}
    assert {place for place, outcome in outcomes.items() if outcome == 1} == {(100, SHARED), (100, FULL)}
    assert outcomes[400, FULL]["turns"] == 1
    assert outcomes[400, FULL]["reason"].startswith("expected to take 1600 s, and ")
    assert result["settings"]["minutes"] == 10
    later = measure(replace(chosen, minutes=None), folder=tmp_path / "out")
    assert [row.get("runs") for row in later["rows"]] == [1] * 6


def test_a_turn_that_exceeds_the_minutes_is_ended(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "exec sleep 1000")
    lines = []
    result = measure(replace(SETTINGS, minutes=0.02), progress=lines.append, folder=tmp_path / "out")
    assert {row["skipped"]["reason"] for row in result["rows"]} == {"the 0.02 minutes were over"}
    assert [row["skipped"]["turns"] for row in result["rows"]] == [2] * 4
    assert lines[-1] == "0.02 minutes are over; the turn that was running is not counted"
    assert not (tmp_path / "out" / "turns.jsonl").exists()


def test_minutes_in_which_the_model_is_not_loaded_are_refused(tmp_path, monkeypatch):
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 1000\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(SharedLLMError, match=r"the model was not loaded within 0\.01 minutes; give more minutes"):
        measure(replace(SETTINGS, minutes=0.01))

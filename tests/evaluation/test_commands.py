"""The commands `eval` and `make-tasks`."""

import json

import pytest
from typer.testing import CliRunner

from sharedllm_core.cli import engines
from sharedllm_core.cli.main import app
from sharedllm_core.training.tasks import TaskSettings, read_texts, write_tasks
from tests import tiny_engine
from tests.evaluation.systems import TOKENIZER, long_texts


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_engine.make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def sharedllm(*arguments):
    return CliRunner().invoke(app, [str(part) for part in arguments], prog_name="sharedllm", env={"COLUMNS": "80"})


def test_eval_measures_a_model_and_goes_on(checkpoint, tmp_path):
    texts = long_texts(tmp_path)
    arguments = ["eval", "--model", checkpoint, "--out", tmp_path / "out", "--texts", texts, "--quick", "--items", 1]
    arguments += ["--lengths", 600, "--measurements", "perplexity,leaf_recall", "--systems", "sharedllm,window_only"]
    result = sharedllm(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found == json.loads((tmp_path / "out" / "results.json").read_text())
    assert {(r["measurement"], r["system"]) for r in found["results"]} == {
        ("perplexity", "sharedllm"),
        ("perplexity", "window only"),
        ("leaf_recall", "sharedllm"),
    }
    assert "perplexity, text-0-target-0-length-600, sharedllm: loss" in result.stderr
    again = sharedllm(*arguments)
    assert again.exit_code == 0
    assert again.stdout == (tmp_path / "out" / "results.md").read_text()
    assert "target-0" not in again.stderr
    other = sharedllm(*arguments, "--seed", 1)
    assert other.exit_code == 1
    assert "seed was 0 and is 1" in other.stderr


def test_eval_asks_the_forms_that_are_named(checkpoint, tmp_path):
    arguments = ["eval", "--quick", "--model", checkpoint, "--out", tmp_path, "--measurements", "lookup,leaf_recall"]
    result = sharedllm(*arguments, "--forms", "two_hop,unanswerable", "--systems", "sharedllm", "--no-plots", "--json")
    assert result.exit_code == 0, result.output
    measured = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    asked = {(row["measurement"], one["labels"]["form"]) for row in measured for one in row["results"]}
    assert asked == {("lookup", "two_hop"), ("lookup", "unanswerable"), ("leaf_recall", "two_hop")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--texts", "missing.jsonl"], "missing.jsonl is no file"),
        (["--texts", "empty.jsonl"], "empty.jsonl is empty"),
        (["--squad", "no.jsonl"], "no.jsonl, line 1: no JSON"),
        (["--measurements", "needles"], "measurement 'needles' is not known; use some of perplexity"),
        (["--systems", "sharedllm,mine"], "system 'mine' is not known; use some of sharedllm"),
        (["--measurements", "squad"], "needs a file; give it with --squad"),
        (["--lengths", "4k"], "are no whole numbers"),
        (["--lengths", "100"], "100 tokens is too short"),
        (["--systems", ","], "no system is named"),
        (["--forms", "single,songs"], "forms has 'songs', which is none; use some of single"),
    ],
    ids=str,
)
def test_wrong_input_is_said_before_any_weights_are_loaded(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engines, "make_engine", lambda *_: pytest.fail("weights were loaded"))
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "no.jsonl").write_text("no\n")
    result = sharedllm("eval", "--out", "out", *arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_make_tasks_writes_what_the_library_writes(checkpoint, tmp_path):
    texts = long_texts(tmp_path)
    arguments = ["--count", 3, "--length", 2_000, "--form", "single", "--seed", 4, "--texts", texts]
    result = sharedllm("make-tasks", tmp_path / "made.jsonl", *arguments, "--tokenizer", checkpoint)
    assert result.exit_code == 0, result.output
    assert "3 tasks are in" in result.stderr
    rows = [json.loads(line) for line in (tmp_path / "made.jsonl").read_text().splitlines()]
    assert [row["form"] for row in rows] == ["single"] * 3
    made = TaskSettings(length=2_000, forms=("single",), count_tokens=TOKENIZER.count)
    write_tasks(tmp_path / "library.jsonl", read_texts(texts), made, 4, 3)
    assert (tmp_path / "made.jsonl").read_bytes() == (tmp_path / "library.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--form", "songs"], "--form has 'songs', which is none; use some of single"),
        (["--length", 3], "--length 3 is not a whole number of at least 500"),
        (["--split", "test"], "'test'"),
        (["--texts", "missing.jsonl"], "missing.jsonl is no file"),
        (["--tokenizer", "nowhere"], "no tokenizer was found at nowhere"),
    ],
    ids=str,
)
def test_make_tasks_refuses_what_is_wrong(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = sharedllm("make-tasks", "made.jsonl", *arguments)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "made.jsonl").exists()

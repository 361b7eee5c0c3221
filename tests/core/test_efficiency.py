"""The measurement itself, on sizes of a moment; the figures that count are in docs/results/efficiency.md."""

import json

import pytest

from sharedllm_core.evaluation import efficiency

TINY = ["--layers", "2", "--hidden", "32", "--heads", "4", "--kv-heads", "2", "--intermediate", "48"]
TINY += ["--vocabulary", "97", "--injection-layers", "1", "--chunk-tokens", "64", "--prompt-tokens", "8"]
TINY += ["--new-tokens", "2", "--repeats", "2", "--device", "cpu"]


def test_a_run_measures_both_systems_at_each_length_as_table_and_json(tmp_path, capsys):
    file = tmp_path / "figures" / "efficiency.json"
    efficiency.main([*TINY, "--lengths", "128", "256", "--json", str(file)])
    figures = json.loads(file.read_text())
    rows = figures["rows"]
    assert [(row["past_tokens"], row["system"]) for row in rows] == [
        (length, system) for length in (128, 256) for system in ("sharedllm", "full attention")
    ]
    for row in rows:
        assert row["first_token_s"] > 0
        assert row["tokens_per_s"] > 0
        assert row["runs"] == 2
        assert row["peak_bytes"] > row["weight_bytes"] + row["state_bytes"]
    per_token = 2 * 2 * 8 * 4  # keys and values, heads, head size, bytes: of one layer
    assert rows[0]["state_bytes"] == 128 // 8 * per_token
    assert rows[1]["state_bytes"] == 2 * (128 + 8 + 2) * per_token
    assert figures["machine"]["cores"] >= 1
    assert figures["settings"]["chunk_tokens"] == 64
    table = capsys.readouterr().out.strip().splitlines()
    assert len(table) == 2 + 4
    assert "| 256 | full attention |" in table[-1]


def test_a_row_that_cannot_be_measured_says_why(tmp_path, capsys):
    efficiency.main([*TINY, "--lengths", "128", "--base", str(tmp_path), "--systems", "sharedllm"])
    assert "is not a checkpoint: it has no config.json" in capsys.readouterr().out


@pytest.mark.parametrize("message", ["CUDA out of memory.", "DefaultCPUAllocator: can't allocate memory"])
def test_running_out_of_memory_is_a_result(message, monkeypatch, tmp_path):
    """A stand-in for the interpreter fails as a device does; filling the machine's memory is no unit test."""
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\necho "{message}" >&2\nexit 1\n')
    interpreter.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(interpreter))
    sizes = dict.fromkeys(("past_tokens", "prompt_tokens", "new_tokens", "injection_layers", "chunk_tokens"), 1)
    probe = efficiency.Probe(
        system="sharedllm", base="", repeats=1, max_seconds=1, device="cuda", dtype="float32", **sizes
    )
    assert efficiency.measure(probe)["error"] == "out of memory"

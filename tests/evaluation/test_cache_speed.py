"""The measurement itself, on sizes of a moment; the figures that count are in docs/results/cache.md."""

import json

from sharedllm_core.evaluation import cache_speed


def test_a_run_measures_first_and_second_questions_as_table_and_json(tmp_path, capsys):
    file = tmp_path / "cache.json"
    cache_speed.main(["--tokens", "3000", "--layers", "2", "--hidden", "128", "--repeats", "1", "--json", str(file)])
    measured = json.loads(file.read_text())
    assert measured["library"]["tokens"] == 3000
    assert len(measured["seconds"]) == 5
    assert all(seconds > 0 for seconds in measured["seconds"].values())
    assert 0 < measured["int8"]["bytes_ratio"] < 1
    assert measured["counting"]["tokens"] >= 3000 * 0.9
    assert "second question, from disk, in a new process" in capsys.readouterr().out

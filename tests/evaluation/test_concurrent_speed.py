"""The measurement of questions that are asked at the same time runs, and its table is of its figures."""

import json

from sharedllm_core.evaluation import concurrent_speed
from tests import tiny_engine


def test_both_ways_are_measured_and_give_the_same_answers(tmp_path, capsys):
    folder = tiny_engine.checkpoints_of_each_reading(tmp_path)["quoted"]
    file = tmp_path / "out" / "figures.json"
    options = ["--model", str(folder), "--dtype", "float32", "--callers", "3", "--new-tokens", "12"]
    concurrent_speed.main([*options, "--quote-tokens", "100", "--turns", "2", "--json", str(file)])
    measured = json.loads(file.read_text())
    assert [turn["differ"] for turn in measured["turns"]] == [0, 0]
    assert measured["alone"] > 0 < measured["together"]
    assert concurrent_speed.table(measured) in capsys.readouterr().out
    assert measured["reading"] == "quoted"

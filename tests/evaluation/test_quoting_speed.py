"""The measurement itself, on a tiny model; the figures that count are in docs/results/quoted_reading.md."""

import json

from sharedllm_core.evaluation import quoting_speed
from tests import tiny_engine


def test_a_run_times_the_steps_of_later_questions_over_a_set_of_documents(tmp_path, capsys):
    base = tiny_engine.make_checkpoint(tmp_path).parent / "base"
    tiny_engine.tokenizer().save_pretrained(base)
    documents = [
        {"id": f"note {seed}", "title": "A note", "text": tiny_engine.words(200, seed=seed)} for seed in range(5)
    ]
    questions = [{"question": f"What is the notice period of tenant {number}?"} for number in range(3)]
    sets, file = tmp_path / "sets.jsonl", tmp_path / "quoting.json"
    sets.write_text(json.dumps({"documents": documents, "questions": questions}), encoding="utf-8")
    options = ["--model", str(base), "--sets", str(sets), "--quote-tokens", "100", "--questions", "2"]
    quoting_speed.main([*options, "--json", str(file)])
    measured = json.loads(file.read_text(encoding="utf-8"))
    assert measured["library"]["documents"] == 5
    assert measured["questions"] == len(measured["all"]) == 2
    assert measured["median"]["selection"] > 0
    assert measured["median"]["prefill"] > 0
    assert measured["median"]["prompt tokens"] > 50
    assert quoting_speed.table(measured) in capsys.readouterr().out

"""Reports: means and intervals, tables that equal the JSON, plots that are images."""

import builtins
import json
import math
import re

import numpy as np
import pytest

from sharedllm_core.evaluation.intervals import interval
from sharedllm_core.evaluation.needle import Needle
from sharedllm_core.evaluation.perplexity import Perplexity
from sharedllm_core.evaluation.report import markdown, results_of, write_report
from sharedllm_core.evaluation.run import run
from tests.evaluation.systems import VOCABULARY, Guessing, Oracle, Silent, long_texts, settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("report")
    chosen = settings(items=4, texts=(long_texts(made),))
    run([Perplexity()], [Oracle(Perplexity(), chosen), Silent()], chosen, made)
    run([Needle()], [Silent(), Guessing(Oracle(Needle(), chosen))], chosen, made)
    write_report(made)
    return made


def test_means_are_those_of_the_items(folder):
    found = json.loads((folder / "results.json").read_text())
    assert found["settings"] == json.loads((folder / "settings.json").read_text())
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    for result in found["results"]:
        values = [
            scored["scores"][result["metric"]]
            for row in rows
            if (row["measurement"], row["system"]) == (result["measurement"], result["system"])
            for scored in row["results"]
            if scored["labels"].items() >= result["by"].items()
        ]
        assert result["count"] == len(values)
        mean = sum(values) / len(values)
        assert result["mean"] == pytest.approx(math.exp(mean) if result["metric"] == "loss" else mean)
        assert result["low"] <= result["mean"] + 1e-9
        assert result["mean"] <= result["high"] + 1e-9


def test_perplexities_of_a_certain_and_an_ignorant_reader(folder):
    results = [r for r in json.loads((folder / "results.json").read_text())["results"] if r["metric"] == "loss"]
    assert {r["mean"] for r in results if r["system"] == "oracle"} == {1.0}
    assert [r["mean"] for r in results if r["system"] == "silent"] == pytest.approx([VOCABULARY] * 3)


def cells(text):
    """Every cell of the tables: (measurement, metric, label, system, label's value, column) → what it says."""
    found = {}
    measurement = metric = label = head = None
    for line in text.splitlines():
        if line.startswith("## "):
            measurement = line[3:]
        elif line.startswith("### "):
            metric, _, label = line[4:].partition(" by ")
            head = None
        elif line.startswith("| "):
            row = line.strip("| ").split(" | ")
            if head is None:
                head = row
                continue
            value = row[1] if label else ""
            for column, cell in list(zip(head, row, strict=True))[2 if label else 1 :]:
                found[measurement, metric, label, row[0], value, column] = cell
    return found


def test_the_tables_say_what_the_json_says(folder):
    results = json.loads((folder / "results.json").read_text())["results"]
    found = cells((folder / "results.md").read_text())
    for result in results:
        by = dict(result["by"])
        length = f"{by.pop('length'):,}" if "length" in by else "all"
        label, value = next(iter(by.items()), ("", ""))
        metric = "perplexity" if result["metric"] == "loss" else result["metric"]
        cell = found.pop((result["measurement"], metric, label, result["system"], str(value), length))
        numbers = re.fullmatch(r"([\d.]+) \[([\d.]+), ([\d.]+)\] n=(\d+)", cell)
        expected = [f"{result[name]:.3f}" for name in ("mean", "low", "high")] + [str(result["count"])]
        assert list(numbers.groups()) == expected
    assert not found, "no cell is without a result"


def test_plots_are_images_with_something_in_them(folder):
    from PIL import Image

    names = {path.name for path in folder.glob("*.png")}
    assert names == {
        "perplexity.png",
        "needle_exact.png",
        "needle_contains.png",
        *(
            f"needle_{metric}_by_depth_{name}.png"
            for metric in ("exact", "contains")
            for name in ("silent", "guessing")
        ),
    }
    for name in names:
        with Image.open(folder / name) as image:
            assert image.format == "PNG"
            pixels = np.asarray(image.convert("L"))
        assert min(pixels.shape) > 100
        assert pixels.std() > 5


def test_without_matplotlib_the_tables_are_there_and_the_error_says_how_to_get_plots(folder, monkeypatch):
    importing = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return importing(name, *rest, **more)

    (folder / "results.md").unlink()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'sharedllm\[eval\]'"):
        write_report(folder)
    assert (folder / "results.md").exists()


def test_intervals_are_wilson_s_for_shares_and_bootstrapped_otherwise():
    assert interval([1.0] * 8 + [0.0] * 2) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = interval([1.0] * 10)
    assert (low, high) == pytest.approx((0.7225, 1.0), abs=1e-4)
    values = np.random.default_rng(1).normal(2.0, 1.0, 400).tolist()
    low, high = interval(values)
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert low < sum(values) / 400 < high
    assert interval(values) == (low, high)
    assert interval([2.5]) == (2.5, 2.5)


def test_an_empty_run_has_an_empty_report(tmp_path):
    assert write_report(tmp_path)["results"] == []
    assert results_of([]) == []
    assert markdown([]).startswith("# Results")

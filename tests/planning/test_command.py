"""The command `plan`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from sharedllm_core import ConfigError, SharedLLMError
from sharedllm_core.cli.plan import plan
from sharedllm_core.cli.plan_table import _hours, _money, _size, _time
from tests import tiny

app = typer.Typer()
app.command()(plan)
QUESTION = ["--model", "llama-3.1-8b", "--tokens", "128000", "--questions-per-day", "200"]
PRICES = ["--price-in", "3", "--price-cached", "0.3", "--price-out", "15"]


def run(*arguments, columns=120):  # by default wider than is used
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)})
    if isinstance(result.exception, SharedLLMError):
        raise result.exception
    return result


@pytest.mark.parametrize(("columns", "shown"), [(34, ["SharedLLM"]), (60, ["SharedLLM", "full", "attention"])])
def test_a_narrow_terminal_keeps_the_columns_that_fit(columns, shown):
    lines = run(*QUESTION, columns=columns).stdout.splitlines()
    assert shown in [line.split() for line in lines]
    assert any(line.startswith("memory in all") for line in lines)
    assert max(len(line) for line in lines) <= columns


def test_the_table_stands_in_80_columns_with_a_column_for_each_way():
    result = run(*QUESTION, *PRICES)
    assert result.exit_code == 0, result.output
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    [head] = [line for line in result.stdout.splitlines() if "full attention" in line and "hosted" in line]
    assert head.split("  ")[-1].strip() == "hosted"
    assert "computed, not measured" in " ".join(result.stdout.split())
    assert "Assumptions" in result.stdout
    assert "16.1 GB" in result.stdout


def test_the_hosted_column_stands_only_where_prices_are_given():
    assert "hosted" not in run(*QUESTION).stdout.lower()


@pytest.mark.parametrize("prices", [[], PRICES, PRICES[:2] + PRICES[4:]])
def test_json_is_exactly_one_object_with_the_numbers_of_the_plan(prices):
    result = run(*QUESTION, *prices, "--json")
    values = json.loads(result.stdout)
    assert result.stderr == ""
    assert values["model"] == "llama-3.1-8b"
    assert values["num_states"] == 16_000
    assert (values["hosted_year"] is None) == (not prices)


def test_options_change_what_they_name():
    settings = ["--injection-layers", "4", "--compression-ratio", "16", "--chunk-tokens", "2048", "--tree-depth", "4"]
    settings += ["--policy", "right", "--dtype", "float32", "--machine", "h200", "--machine-price-per-hour", "7"]
    settings += ["--question-tokens", "64", "--answer-tokens", "32", "--days-per-year", "250"]
    values = json.loads(run(*QUESTION, *settings, "--json").stdout)
    expected = {"injection_layers": 4, "compression_ratio": 16.0, "chunk_tokens": 2048, "tree_depth": 4}
    assert values["method"].items() >= (expected | {"policy": "right"}).items()
    assert (values["machine"]["name"], values["machine"]["price_per_hour"]) == ("h200", 7)
    assert values["shape"]["bytes_per_parameter"] == 4
    assert [values[name] for name in ("question_tokens", "answer_tokens", "days_per_year")] == [64, 32, 250]


def test_a_checkpoint_brings_its_own_method_and_options_change_it(bases, tmp_path):
    tiny.untrained(bases("qwen3")).save_pretrained(tmp_path)
    arguments = ["--model", str(tmp_path), "--tokens", "96", "--questions-per-day", "1", "--json"]
    arguments += ["--question-tokens", "9", "--answer-tokens", "9"]
    assert json.loads(run(*arguments).stdout)["method"] == tiny.METHOD.to_dict()
    changed = json.loads(run(*arguments, "--policy", "right").stdout)["method"]
    assert changed == tiny.METHOD.to_dict() | {"policy": "right"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*QUESTION, "--price-in", "3"], "no --price-out; give both"),
        ([*QUESTION, "--price-cached", "3"], "no --price-in; give both"),
        ([*QUESTION, "--machine", "abacus"], "machine='abacus' is not known"),
        ([*QUESTION, "--tokens", "-5"], "past_tokens=-5"),
        ([*QUESTION, "--policy", "left"], "policy='left' is not known"),
        (["--model", "nothing", *QUESTION[2:]], "model='nothing' is neither known nor a folder"),
    ],
)
def test_what_is_wrong_is_raised_as_the_librarys_own_error(arguments, said):
    with pytest.raises(ConfigError, match=said):
        run(*arguments)


def test_units_are_those_that_people_read():
    assert [_size(n) for n in (0, 999, 1500, 2e6, 16.06e9, 3e12)] == [
        "0 B", "999 B", "1.5 kB", "2.0 MB", "16.1 GB", "3.0 TB",
    ]  # fmt: skip
    assert [_time(s) for s in (None, 0, 0.0005, 0.25, 1.2, 7200)] == ["–", "0 ms", "0.5 ms", "250 ms", "1.2 s", "2.0 h"]
    assert [_money(m) for m in (None, 0, 0.00123, 2.5, 28200, -12)] == [
        "–", "$0.00", "$0.0012", "$2.50", "$28,200", "−$12.00",
    ]  # fmt: skip
    assert _hours(None) == "–"
    assert _hours(0.5) == "1,800.0 s"


def test_the_help_says_that_no_vendor_is_assumed():
    assert "vendor" in run("--help").stdout

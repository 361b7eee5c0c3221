"""The measurement itself, on sizes of a moment; the figures that count are in docs/results/efficiency.md."""

import json
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from sharedllm_core import ConfigError, DeviceMemoryError, SharedLLMConfig, SharedLLMError
from sharedllm_core.cli.main import app
from sharedllm_core.evaluation.efficiency import SYSTEMS as ALL_SYSTEMS
from sharedllm_core.evaluation.efficiency import EfficiencySettings, floors, measure, tables, worker, write_plots
from sharedllm_core.evaluation.efficiency.systems import SharedLLMMeasured, make_systems, methods_of
from sharedllm_core.evaluation.efficiency.weights import load_measured, text_ids, with_method
from sharedllm_core.planning import MODELS, ModelShape
from tests import tiny_engine

SYSTEMS = ["sharedllm, M = 2", "full attention", "streaming", "encoder-decoder"]
SHAPE = ModelShape(
    layers=3, hidden=8, intermediate=16, heads=2, kv_heads=1, head_size=4, vocabulary=50, window_tokens=4096
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_engine.make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def settings(checkpoint):
    return EfficiencySettings(
        model=str(checkpoint),
        lengths=(150, 300),
        systems=ALL_SYSTEMS,
        prompt_tokens=8,
        new_tokens=3,
        repeats=2,
        window_tokens=64,
    )


@pytest.fixture(scope="module")
def result(settings):
    return measure(settings)


@pytest.fixture
def opened(settings, tmp_path):
    """The systems over one past context, and two prompts."""
    model = load_measured(settings)
    ids = text_ids(settings, model, 170)
    return make_systems(model, settings, ids[:150], tmp_path), ids[150:158], ids[158:166]


# ------------------------------------------------------------------------------------------------ a run


def test_every_system_is_measured_at_every_length(result):
    rows = result["rows"]
    assert [(row["past_tokens"], row["system"]) for row in rows] == [(n, s) for n in (150, 300) for s in SYSTEMS]
    for row in rows:
        figures = {"unread", "decode", "warm"} | ({"read", "from_disk"} if "sharedllm" in row["system"] else set())
        assert set(row["seconds"]) == figures
        assert all(seconds > 0 for seconds in row["seconds"].values())
        assert set(row["floors"]) == figures
        assert all(len(values) == row["runs"] == 2 for values in row["all_seconds"].values())
        assert all(rate > 0 for rate in row["rates"].values())
        assert row["state_bytes"] > 0
        assert row["weight_bytes"] > 0
    assert result["machine"]["cores"] >= 1
    assert json.loads(json.dumps(result)) == result


def test_what_was_measured_is_kept_after_every_turn(settings):
    kept = []
    shortest = replace(settings, lengths=(40, 60), systems=("full_attention",), repeats=1)
    result = measure(shortest, keep=lambda so_far: kept.append(json.loads(json.dumps(so_far))))
    assert [len(so_far["rows"]) for so_far in kept] == [1, 2]
    assert kept[-1] == result


def test_states_are_those_of_the_method_and_of_the_window(result, checkpoint):
    model = load_measured(EfficiencySettings(model=str(checkpoint)))
    base, method = model.config.get_text_config(), model.method
    per_token = 2 * base.num_key_value_heads * base.head_dim * model.dtype.itemsize  # in one layer
    of = {row["system"]: row["state_bytes"] for row in result["rows"] if row["past_tokens"] == 300}
    assert of["full attention"] == base.num_hidden_layers * (300 + 8) * per_token
    assert of["encoder-decoder"] == base.num_hidden_layers * 300 * per_token
    assert of["streaming"] <= base.num_hidden_layers * 64 * per_token
    states = of["sharedllm, M = 2"] / per_token / method.injection_layers
    assert 300 / method.compression_ratio <= states < 300 / method.compression_ratio * 1.5


def test_tables_name_every_row_its_ratio_and_its_floor(result):
    text = tables(result)
    measured, shares = text.split("\n\n")
    assert len(measured.splitlines()) == len(shares.splitlines()) == 2 + 8
    row = result["rows"][0]
    ratio = result["rows"][1]["seconds"]["unread"] / row["seconds"]["unread"]
    assert f"| {ratio:.1f} |" in measured.splitlines()[2]
    assert f"| {row['floors']['unread'] / row['seconds']['unread']:.0%} |" in shares.splitlines()[2]


def test_what_a_budget_left_out_stands_in_the_table(result):
    left_out = {"turns": 3, "reason": "the 10 minutes were over"}
    rows = [result["rows"][0] | {"skipped": left_out}, {"past_tokens": 600, "system": "streaming", "skipped": left_out}]
    measured, shares = tables({"rows": rows}).split("\n\n")
    assert measured.splitlines()[2].endswith("| 2 of 5 |")
    assert "| 600 | streaming | skipped: the 10 minutes were over |" in measured
    assert {line.count("|") for line in measured.splitlines()} == {13}
    assert "600" not in shares


def test_what_failed_stands_in_the_table(result):
    failed = {"past_tokens": 600, "system": "full attention", "error": "out of memory"}
    lines = tables({"rows": [*result["rows"], failed]}).splitlines()
    assert "| 600 | full attention | out of memory |" in next(line for line in lines if "600" in line)


def test_each_figure_is_a_plot(result, tmp_path):
    files = write_plots(result, tmp_path / "plots")
    assert {file.stem.removeprefix("efficiency_") for file in files} == {
        "unread", "warm", "from_disk", "decode", "peak_bytes"
    }  # fmt: skip
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


# ------------------------------------------------------------------------------------------------ systems


def test_every_way_to_a_first_token_gives_the_same_token(opened):
    systems, prompt, other = opened
    with torch.no_grad():
        for system in systems:
            first = [int(system.unread(prompt).token)]
            if isinstance(system, SharedLLMMeasured):
                assert system.warm(prompt) is None  # nothing was read ahead
                system.read()
                system.write_to_disk()
                assert system.tree_bytes > 0
                first.append(int(system.from_disk(prompt).token))
            system.warm(other).decode()
            first.append(int(system.warm(prompt).token))
            assert len(set(first)) == 1, system.name
            system.forget()
            assert system.warm(prompt) is None


def test_all_systems_share_one_set_of_weights(checkpoint):
    model = load_measured(EfficiencySettings(model=str(checkpoint)))
    layers = model.config.get_text_config().num_hidden_layers
    for number in (1, layers):
        other = with_method(model, SharedLLMConfig(injection_layers=number, chunk_tokens=32))
        assert len(other.injection) == number
        mine, theirs = dict(model.named_parameters()), dict(other.named_parameters())
        common = mine.keys() & theirs.keys()
        assert all(mine[name].data_ptr() == theirs[name].data_ptr() for name in common)
        assert not any(weight.is_meta for weight in theirs.values())
        assert {name for name in theirs if name not in common} == {
            name for name in theirs if name.startswith("injection.") and int(name.split(".")[1]) >= len(model.injection)
        }
    ids = torch.arange(5, 25)[None]
    again = with_method(model, model.method)
    assert torch.equal(again(ids).logits, model(ids).logits)


def test_a_published_shape_gets_random_weights_of_its_sizes(monkeypatch):
    monkeypatch.setitem(MODELS, "llama-3.1-8b", SHAPE)
    settings = EfficiencySettings(model="llama-3.1-8b", injection_layers=(1, 2))
    model = load_measured(settings)
    assert sum(weight.numel() for weight in model.parameters()) == SHAPE.parameters + SHAPE.injection_parameters(2)
    assert model.dtype == torch.bfloat16
    assert [method.injection_layers for method in methods_of(model, settings)] == [1, 2]
    ids = text_ids(settings, model, 100)
    assert int(ids.max()) < SHAPE.vocabulary
    with torch.no_grad():
        past = model.encode_past_context([ids], ids[:5])
        assert torch.isfinite(model(ids[None, :5], past_context=past).logits).all()


# ------------------------------------------------------------------------------------------------ floors


def test_the_work_of_a_wide_stream_is_that_of_full_attention():
    sizes = floors.Sizes(past_tokens=100, prompt_tokens=4, new_tokens=6)
    full, wide = floors.full_attention_work(SHAPE, sizes), floors.streaming_work(SHAPE, sizes, 200)
    assert wide == full
    narrow = floors.streaming_work(SHAPE, sizes, 10)
    per_pair = 4 * SHAPE.query_width * SHAPE.layers
    masked = sum(max(0, place + 1 - 10) for place in range(104))
    assert full["unread"].operations - narrow["unread"].operations == per_pair * masked


def test_the_work_of_one_token_reads_weights_and_states_once():
    sizes = floors.Sizes(past_tokens=1024, prompt_tokens=4, new_tokens=2)
    method = SharedLLMConfig(injection_layers=2)
    work = floors.shared_work(SHAPE, method, sizes)
    states = 2 * 2 * SHAPE.kv_width * 128 * 2  # layers, keys and values, states, bytes
    own = SHAPE.layers * 2 * SHAPE.kv_width * 5 * 2
    weights = 2 * (SHAPE.parameters_read + SHAPE.injection_parameters(2))
    assert work["decode"].num_bytes == weights + states + own
    assert work["read"].operations > work["unread"].operations > work["warm"].operations


def test_a_floor_is_the_slower_of_products_and_memory_and_then_the_disk():
    rates = floors.Rates(operations_per_s=10, bytes_per_s=100, disk_bytes_per_s=1)
    assert rates.seconds(floors.Work(operations=50, num_bytes=100)) == 5
    assert rates.seconds(floors.Work(operations=5, num_bytes=100, disk_bytes=3)) == 4


def test_rates_are_measured_and_leave_nothing_behind(tmp_path):
    rates = floors.measure_rates("cpu", torch.float32, tmp_path)
    assert rates.operations_per_s > 1e8
    assert rates.bytes_per_s > 1e7
    assert rates.disk_bytes_per_s > 1e6
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------ memory


def test_a_system_that_runs_out_of_memory_leaves_the_others_their_turns(opened, settings, monkeypatch):
    systems, prompt, other = opened
    [_, full, *_] = systems

    def fail(_):
        raise DeviceMemoryError("the device has too little memory")

    monkeypatch.setattr(full, "unread", fail)
    turns = {system.name: worker.measure_turn(system, settings, prompt, other) for system in systems}
    assert [name for name, turn in turns.items() if turn == {"error": "out of memory"}] == [full.name]
    assert [name for name, turn in turns.items() if "figures" in turn] == [s for s in SYSTEMS if s != full.name]


def test_trees_that_would_not_fit_are_not_kept(settings):
    few = replace(settings, lengths=(150,), systems=("sharedllm",), cache_bytes=1000)
    [row] = measure(few)["rows"]
    assert set(row["seconds"]) == {"unread", "decode"}


def stand_in(tmp_path, monkeypatch, script):
    """An interpreter that dies as one does; filling the machine's memory is no unit test."""
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(interpreter))


def test_a_process_that_is_killed_is_followed_by_one_without_what_it_was_killed_at(tmp_path, monkeypatch):
    description = json.dumps({"own_injection_layers": 2, "floors": {}})
    figures = json.dumps({"figures": {"unread": 1.0, "decode": 0.1}, "floors": {"unread": 0.5}})
    answers = f"""while read request; do
        case "$request" in *"full attention"*) kill -9 $$ ;; *) echo '{figures}' ;; esac
    done"""
    stand_in(tmp_path, monkeypatch, f"echo '{description}'\n{answers}")
    begun = []
    chosen = EfficiencySettings(lengths=(100,), systems=("full_attention", "streaming"), repeats=2)
    rows = measure(chosen, progress=begun.append)["rows"]
    outcomes = {row["system"]: row.get("error") or row["all_seconds"] for row in rows}
    assert outcomes == {"full attention": "out of memory", "streaming": {"unread": [1.0] * 2, "decode": [0.1] * 2}}
    assert sum("loading the model" in line for line in begun) == 2


def test_a_process_that_is_killed_while_loading_is_no_result(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "kill -9 $$")
    with pytest.raises(SharedLLMError, match="too little memory to load the model"):
        measure(EfficiencySettings(lengths=(100,)))


def test_another_failure_says_why(tmp_path):
    with pytest.raises(SharedLLMError, match="is not a checkpoint"):
        measure(EfficiencySettings(model=str(tmp_path), lengths=(100,)))


# ------------------------------------------------------------------------------------------------ command


def test_the_command_writes_table_figures_and_plots(checkpoint, tmp_path):
    arguments = ["bench", "--model", checkpoint, "--lengths", "100", "--systems", "sharedllm,full_attention"]
    arguments += ["--quick", "--injection-layers", "1,2", "--new-tokens", "2", "--out", tmp_path / "out"]
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    assert done.exit_code == 0, done.output
    figures = json.loads((tmp_path / "out" / "efficiency.json").read_text())
    assert [row["system"] for row in figures["rows"]] == ["sharedllm, M = 1", "sharedllm, M = 2", "full attention"]
    assert figures["settings"]["new_tokens"] == 2
    assert tables(figures) in (tmp_path / "out" / "efficiency.md").read_text()
    assert "| 100 | full attention |" in done.stdout
    assert (tmp_path / "out" / "efficiency_unread.png").exists()


def test_a_result_without_turns_is_not_overwritten(checkpoint, tmp_path):
    (tmp_path / "efficiency.json").write_text("{}")
    done = CliRunner().invoke(app, ["bench", "--model", str(checkpoint), "--out", str(tmp_path), "--no-plots"])
    assert done.exit_code == 1
    assert "is there already" in " ".join(done.output.split())
    assert (tmp_path / "efficiency.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--systems", "rag"], "system 'rag' is not known; use one of sharedllm, full_attention"),
        (["--lengths", "4K"], "are no whole numbers"),
        (["--lengths", "0"], "--lengths 0 is not a whole number of at least 1; give one"),
        (["--lengths", ","], "lengths is empty; give one or more"),
        (
            ["--injection-layers", "9", "--lengths", "100"],
            "the measurement failed: --injection-layers 9, but the base model has 4 layers",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(checkpoint, tmp_path, arguments, message):
    done = CliRunner().invoke(
        app, ["bench", "--model", str(checkpoint), "--out", str(tmp_path), "--no-plots", *arguments]
    )
    assert done.exit_code == 1
    assert message in " ".join(done.output.split())


def test_settings_are_checked():
    for wrong in (
        {"repeats": 0},
        {"max_seconds": 0},
        {"minutes": 0},
        {"cache_bytes": -1},
        {"systems": ()},
        {"window_tokens": 0},
    ):
        with pytest.raises(ConfigError):
            EfficiencySettings(**wrong)


def test_a_system_whose_trees_were_lost_is_not_measured_from_the_cache(settings, opened, tmp_path):
    systems, prompt, other = opened
    (shared, *_) = systems
    few = SharedLLMMeasured(shared.model, text_ids(settings, shared.model, 150), tmp_path / "few", 20_000, "few")
    few.read()
    assert not few.has_all_trees
    figures = worker.measure_turn(few, settings, prompt, other)["figures"]
    assert "read" in figures
    assert not {"warm", "from_disk"} & set(figures)


def test_floors_count_nothing_twice_and_all_pairs_of_nodes_read_in_both_directions():
    sizes = floors.Sizes(past_tokens=1024, prompt_tokens=4, new_tokens=2)
    one = floors.shared_work(SHAPE, SharedLLMConfig.encoder_decoder(1, chunk_tokens=64), sizes)["read"].operations
    all_layers = floors.shared_work(SHAPE, SharedLLMConfig.encoder_decoder(3, chunk_tokens=64), sizes)[
        "read"
    ].operations
    layer = 2 * 1024 * SHAPE.layer_matrix_elements + 4 * SHAPE.query_width * 16 * (64 * 65 // 2)
    assert one == 2 * 1024 * 2 * SHAPE.hidden * SHAPE.kv_width  # the last layer gives keys and values alone
    assert all_layers == 2 * layer + one
    causal, full = (
        floors.shared_work(SHAPE, SharedLLMConfig(injection_layers=2, lower_attention=way), sizes)["unread"].operations
        for way in ("causal", "full")
    )
    assert full > causal


def test_a_model_that_searches_text_selects_by_token_ids_here(tmp_path):
    folder = tiny_engine.make_checkpoint(tmp_path, replace(tiny_engine.METHOD, policy="search"))
    settings = EfficiencySettings(model=str(folder), systems=("sharedllm",))
    model = load_measured(settings)
    assert model.method.policy == "two_looks"
    [system] = make_systems(model, settings, text_ids(settings, model, 600)[:150], tmp_path)
    system.read()

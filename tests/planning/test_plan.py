"""Plans: their numbers follow from the formulas, grow with the work, and bad input is named."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_core import ConfigError, SharedLLMConfig, WindowError
from sharedllm_core.planning import MACHINES, MODELS, HostedPrices, Machine, formulas, plan, read_model
from tests.lookup_model import LOOKUP_MODEL

ROOT = Path(__file__).parents[2]
SHAPE = MODELS["llama-3.1-8b"]
METHOD = SharedLLMConfig.instruction(SHAPE.layers)
H100 = Machine.named("h100")
PRICES = HostedPrices(input=3, output=15, cached=0.3)


def make(past_tokens=128_000, machine=H100, method=METHOD, shape=SHAPE, prices=PRICES, **changes):
    settings = {"questions_per_day": 200, "prices": prices} | changes
    return plan(shape, method, machine, past_tokens, **settings)


def numbers(value, path=""):
    """All numbers of a plan by path; savings may be negative and are left out."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if "saving" not in name:
                yield from numbers(inner, f"{path}.{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


# ------------------------------------------------------------------------------------------------ what it says


def test_memory_is_the_sum_of_its_parts():
    for memory in (make().shared_memory, make().full_memory):
        parts = memory.weight_bytes + memory.injection_bytes + memory.past_bytes + memory.running_text_bytes
        assert memory.total_bytes == parts
    assert make().shared_memory.weight_bytes == 2 * 8_030_261_248
    assert make().full_memory.past_bytes == 128_000 * 131_072, "128 KiB a token in 32 layers of 8 heads of 128"
    assert make().num_states == 16_000


def test_whether_it_fits_is_said_of_memory_and_of_window():
    small = make(machine=MACHINES["cpu-2-cores"])
    assert not small.shared_memory.fits_memory
    far = make(2_000_000)
    assert far.shared_memory.fits_memory
    assert far.shared_memory.fits_window
    assert not far.full_memory.fits_memory
    assert not far.full_memory.fits_window


def test_reading_is_linear_in_the_documents_and_full_attention_is_not():
    once, twice = make(64 * 1024), make(128 * 1024)
    assert twice.shared_reading.operations == 2 * once.shared_reading.operations
    assert twice.full_reading.operations > 2.2 * once.full_reading.operations
    assert twice.shared_reading_one_question.operations < twice.shared_reading.operations


def test_decoding_is_bound_by_the_bandwidth_of_weights_states_and_running_text():
    made = make(answer_tokens=2)
    question = made.shared_question
    unread_table = 2 * SHAPE.embedding_parameters  # the head is read, the embeddings are not
    last_token = formulas.kv_bytes(SHAPE, 1)  # of the answer, which no further token looks back on
    moved = made.shared_memory.total_bytes - unread_table - last_token
    decoding = question.read_total_seconds - question.read_first_token_seconds
    assert decoding == pytest.approx(moved / (3350e9 * 0.7), rel=1e-9)


def test_a_cost_is_seconds_by_the_price_of_an_hour():
    made = make(machine=Machine.named("h100", price_per_hour=36))
    assert made.shared_question.unread_cost == pytest.approx(made.shared_question.unread_total_seconds / 100)
    free = make(machine=Machine.named("h100", price_per_hour=0))
    assert free.shared_year.kept_cost == free.full_year.rented_cost == 0


def test_a_hosted_question_is_paid_by_the_token():
    hosted = make(1_000_000, question_tokens=1000, answer_tokens=1000).hosted_question
    assert hosted.unread_cost == pytest.approx(3 + 0.003 + 0.015)
    assert hosted.read_cost == pytest.approx(0.3 + 0.003 + 0.015)


def test_a_year_is_one_reading_and_all_questions_of_each_day():
    made = make(days_per_year=10, questions_per_day=7)
    seconds = made.shared_reading.seconds + 7 * made.shared_question.read_total_seconds
    assert made.shared_year.kept_busy_hours_per_day == pytest.approx(seconds / 3600)
    assert made.shared_year.kept_cost == pytest.approx(10 * seconds * 3 / 3600)
    assert made.shared_year.rented_cost == pytest.approx(10 * 24 * 3)
    assert made.full_year.reread_cost == pytest.approx(70 * made.full_question.unread_cost)
    hosted = made.hosted_question
    assert made.hosted_year.reread_cost == pytest.approx(70 * hosted.unread_cost)
    assert made.hosted_year.kept_cost == pytest.approx(10 * (hosted.unread_cost + 6 * hosted.read_cost))
    for year in (made.full_year, made.hosted_year):
        assert year.reread_saving == pytest.approx(year.reread_cost - made.shared_year.kept_cost)
        assert year.kept_saving == pytest.approx(year.kept_cost - made.shared_year.kept_cost)


def test_more_than_a_days_work_takes_more_machines():
    busy = make(questions_per_day=1_000_000)
    machines = -(-busy.shared_year.kept_busy_hours_per_day // 24)
    assert machines > 1
    assert busy.shared_year.rented_cost == pytest.approx(machines * 365 * 24 * 3)


def test_a_saving_is_negative_where_sharedllm_costs_more():
    dear = make(prices=HostedPrices(input=0.0, output=0.0001))
    assert dear.hosted_year.reread_saving < 0


def test_without_prices_nothing_is_hosted_and_without_a_cached_price_nothing_is_kept():
    alone = make(prices=None)
    assert alone.hosted_question is alone.hosted_year is None
    uncached = make(prices=HostedPrices(input=3, output=15))
    assert uncached.hosted_question.read_cost is None
    assert uncached.hosted_year.kept_cost is uncached.hosted_year.kept_saving is None


def test_no_documents_leave_a_question_alone():
    made = make(0)
    assert made.num_states == made.cache.num_bytes == made.shared_reading.operations == made.full_reading.seconds == 0
    right = make(0, method=replace(METHOD, policy="right"))
    assert right.shared_question.unread_total_seconds == right.full_question.unread_total_seconds


def test_the_assumptions_are_said():
    said = " ".join(make().assumptions)
    for word in ("50% of 989 TFLOPS", "70% of 3350 GB/s", "activations", "Batching", "$3", "trained", "Hosted"):
        assert word in said
    assert "Hosted" not in " ".join(make(prices=None).assumptions)


def test_a_plan_is_json():
    assert json.loads(json.dumps(make().to_dict()))["num_states"] == 16_000


# ------------------------------------------------------------------------------------------------ measurements


def measured():
    """(past tokens, system) → seconds to the first token, of the model in the package on two cores."""
    result = json.loads((ROOT / "docs/results/efficiency.json").read_text(encoding="utf-8"))
    return {
        (row["past_tokens"], row["system"]): row["seconds"]["unread"] for row in result["rows"] if "seconds" in row
    }, result["settings"]


def test_computed_times_to_the_first_token_are_near_those_measured():
    seconds, settings = measured()
    shape, method = read_model(LOOKUP_MODEL)
    for tokens in settings["lengths"]:
        made = make(tokens, MACHINES["cpu-2-cores"], method, shape, question_tokens=settings["prompt_tokens"])
        shared = made.shared_question.unread_first_token_seconds
        full = made.full_question.unread_first_token_seconds
        ours = seconds[tokens, f"sharedllm, M = {method.injection_layers}"]
        assert 0.5 < shared / ours < 2, tokens
        assert 0.5 < full / seconds[tokens, "full attention"] < 2, tokens
        assert 0.5 < (full / shared) / (seconds[tokens, "full attention"] / ours) < 2, tokens


# ------------------------------------------------------------------------------------------------ properties


@given(
    tokens=st.integers(0, 300_000),
    more=st.integers(1, 5_000),
    ratio=st.sampled_from([2, 8, 11.5]),
    layers=st.integers(1, 32),
    model=st.sampled_from(sorted(MODELS)),
    machine=st.sampled_from(sorted(MACHINES)),
)
def test_nothing_is_negative_and_nothing_shrinks_as_documents_grow(tokens, more, ratio, layers, model, machine):
    shape = MODELS[model]
    method = SharedLLMConfig(injection_layers=min(layers, shape.layers), compression_ratio=ratio)
    settings = {"shape": shape, "method": method, "machine": MACHINES[machine]}
    before = dict(numbers(make(tokens, **settings).to_dict()))
    after = dict(numbers(make(tokens + more, **settings).to_dict()))
    assert before.keys() == after.keys()
    assert all(value >= 0 for value in before.values())
    shrunk = {path: (before[path], after[path]) for path in before if after[path] < before[path] * (1 - 1e-12)}
    assert not shrunk


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 500))
def test_nothing_shrinks_as_question_answer_or_their_number_grow(question, answer, questions_per_day):
    sizes = {"question_tokens": question, "answer_tokens": answer, "questions_per_day": questions_per_day}
    before = dict(numbers(make(**sizes).to_dict()))
    for name, size in sizes.items():
        after = dict(numbers(make(**sizes | {name: size + 1}).to_dict()))
        assert all(after[path] >= before[path] * (1 - 1e-12) for path in before), name


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"past_tokens": -1}, "past_tokens=-1 is not a whole number of at least 0; give one"),
        ({"past_tokens": 1.5}, "past_tokens=1.5 is not a whole number"),
        ({"question_tokens": 0}, "question_tokens=0 is not a whole number of at least 1"),
        ({"answer_tokens": 0}, "answer_tokens=0"),
        ({"questions_per_day": 0}, "questions_per_day=0"),
        ({"days_per_year": True}, "days_per_year=True"),
        ({"method": SharedLLMConfig(injection_layers=33)}, "injection_layers=33, but the base model has 32 layers"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        make(**changes)


def test_a_running_text_beyond_the_window_is_refused():
    with pytest.raises(WindowError, match=r"question_tokens=131000 and answer_tokens=128 are more than .* of 131072"):
        make(question_tokens=131_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tflops", 0), ("memory_gb", -1), ("bandwidth_share", 1.5), ("price_per_hour", -2), ("disk_gb_per_s", "fast")],
)
def test_a_machine_that_cannot_be_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name}={value!r}"):
        Machine(**asdict(H100) | {name: value})


def test_an_unknown_machine_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"machine='h900' is not known; use one of cpu-2-cores, a100-80gb, h100"):
        Machine.named("h900")


@pytest.mark.parametrize("price", [-1, float("nan"), float("inf"), "3"])
@pytest.mark.parametrize("name", ["input", "output", "cached"])
def test_a_price_that_cannot_be_is_refused(name, price):
    with pytest.raises(ConfigError, match=f"{name}={price!r} is not a finite number of at least 0"):
        HostedPrices(**{"input": 1, "output": 1} | {name: price})

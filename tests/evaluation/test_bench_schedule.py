"""Which turn is measured next, by turns and seconds that are made up."""

import math
from dataclasses import replace

import pytest

from sharedllm_core.evaluation.efficiency.schedule import (
    Plan,
    expected_seconds,
    next_step,
    seconds_to_go,
    skipped_turns,
)
from sharedllm_core.evaluation.efficiency.turns import Step, Turn

LENGTHS = (1_000, 2_000, 4_000, 8_000, 16_000)
SHARED, FULL, STREAM = "sharedllm, M = 2", "full attention", "streaming"


def floors(length, system):
    """Full attention grows with the square of the length."""
    unread = (length / 1_000) ** (2 if system == FULL else 1)
    return {"unread": unread, "decode": 0.01 * length / 1_000}


PLAN = Plan(
    lengths=LENGTHS,
    systems=(SHARED, FULL, STREAM),
    compared=(SHARED, FULL),
    repeats=5,
    max_seconds=math.inf,
    new_tokens=10,
    floors={(length, system): floors(length, system) for length in LENGTHS for system in (SHARED, FULL, STREAM)},
)


def turn(step, slower=2.0):
    """A turn that takes so many times its floor, and a tenth of a second for each 1,000 tokens beside it."""
    least = floors(step.past_tokens, step.system)
    figures = {name: slower * seconds for name, seconds in least.items()} | {"state_bytes": 100.0}
    seconds = figures["unread"] + 10 * figures["decode"] + 0.1 * step.past_tokens / 1_000
    return Turn(
        past_tokens=step.past_tokens,
        system=step.system,
        number=step.number,
        seconds=seconds,
        figures=figures,
        floors=least,
    )


def failed(length, system):
    return Turn(past_tokens=length, system=system, number=0, seconds=1.0, error="out of memory")


def run(plan, budget=None, turns=()):
    """Take the turns of a run.

    Returns:
        The turns, and the seconds that remain.
    """
    taken, remaining = list(turns), budget
    while (step := next_step(plan, taken, remaining)) is not None:
        assert step not in [Step(t.past_tokens, t.system, t.number) for t in taken]
        if remaining is not None:
            assert expected_seconds(plan, taken, step) <= remaining
        taken.append(turn(step))
        remaining = None if remaining is None else remaining - taken[-1].seconds
    return taken, remaining


def places(turns):
    return [(t.past_tokens, t.system, t.number) for t in turns]


def test_without_a_budget_systems_take_turns_length_by_length():
    plan = replace(PLAN, lengths=(2_000, 1_000), repeats=2)
    expected = [(n, s, i) for n in (2_000, 1_000) for i in range(2) for s in (SHARED, FULL, STREAM)]
    assert places(run(plan)[0]) == expected


def test_a_system_that_has_had_its_seconds_or_has_failed_takes_no_further_turn():
    plan = replace(PLAN, lengths=(8_000,), max_seconds=30)
    taken, _ = run(plan, turns=[failed(8_000, STREAM)])
    assert [system for _, system, _ in places(taken)].count(STREAM) == 1
    assert [system for _, system, _ in places(taken)].count(FULL) == 1  # 128 s
    assert [system for _, system, _ in places(taken)].count(SHARED) == 2  # 18 s each


def test_with_a_budget_the_comparison_comes_first_at_the_shortest_longest_and_middle_length():
    taken, _ = run(PLAN, budget=1e6)
    pair = (SHARED, FULL)
    first = [(n, s, 0) for n in (1_000, 16_000, 4_000) for s in pair]
    further = [(n, s, number) for number in (1, 2) for n in (16_000, 4_000) for s in pair]
    others = [(n, STREAM, 0) for n in (1_000, 16_000, 4_000)]
    remaining_lengths = [(n, s, 0) for n in (8_000, 2_000) for s in pair]
    start = first + further + others + remaining_lengths
    assert places(taken)[: len(start)] == start
    assert sorted(places(taken)) == sorted(places(run(PLAN)[0]))  # all of it, in another order


@pytest.mark.parametrize("budget", [1, 20, 60, 150, 400, 1_000, 3_000])
def test_no_turn_begins_that_is_expected_to_exceed_the_budget(budget):
    taken, remaining = run(PLAN, budget)
    assert sum(t.seconds for t in taken[1:]) <= budget  # of the first, nothing can be expected
    assert remaining == pytest.approx(budget - sum(t.seconds for t in taken))


@pytest.mark.parametrize(("budget", "longest"), [(600, 16_000), (400, 8_000), (60, 4_000), (20, 2_000)])
def test_a_small_budget_compares_at_the_longest_length_that_fits(budget, longest):
    taken, _ = run(PLAN, budget)
    assert places(taken)[2:4] == [(longest, SHARED, 0), (longest, FULL, 0)]


def test_a_turn_that_does_not_fit_makes_room_for_one_that_does():
    both = [turn(Step(n, s, 0)) for n in (1_000, 16_000) for s in (SHARED, FULL)]
    step = next_step(PLAN, both, remaining=12)
    assert step == Step(4_000, SHARED, 0)
    assert next_step(PLAN, both, remaining=0) is None


def test_seconds_are_expected_by_the_floor_of_each_figure_from_the_nearest_length():
    for system in (SHARED, FULL, STREAM):
        measured = [turn(Step(1_000, system, 0), slower=9.0), turn(Step(4_000, system, 0))]
        expected = turn(Step(16_000, system, 0)).seconds
        assert expected_seconds(PLAN, measured, Step(16_000, system, 0)) == pytest.approx(expected)


def test_seconds_of_a_system_that_had_no_turn_are_expected_from_how_far_others_are_from_their_floors():
    assert expected_seconds(PLAN, [], Step(1_000, FULL, 0)) == 0
    measured = [turn(Step(4_000, SHARED, 0), slower=3.0)]
    assert expected_seconds(PLAN, measured, Step(4_000, FULL, 0)) == pytest.approx(3 * (16 + 0.4), rel=0.05)


def test_memory_that_was_too_small_is_not_tried_again_at_greater_lengths():
    measured = [turn(Step(1_000, SHARED, 0)), turn(Step(1_000, FULL, 0)), failed(4_000, FULL)]
    taken, remaining = run(PLAN, 1e6, measured)
    assert not [place for place in places(taken) if place[0] > 4_000 and place[1] == FULL]
    assert (16_000, SHARED, 4) in places(taken)
    skipped = skipped_turns(PLAN, taken, remaining, 10)
    assert skipped == {(n, FULL): {"turns": 5, "reason": "out of memory at a shorter length"} for n in (8_000, 16_000)}


def test_what_is_left_out_is_counted_and_has_a_reason():
    plan = replace(PLAN, lengths=(1_000, 16_000), repeats=2)
    taken, remaining = run(plan, 100)
    skipped = skipped_turns(plan, taken, remaining, 2)
    assert skipped[16_000, FULL]["turns"] == 2
    assert skipped[16_000, FULL]["reason"].startswith("expected to take ")
    assert skipped[16_000, FULL]["reason"].endswith(" s of 2 minutes were left")
    measured = len(taken) + sum(row["turns"] for row in skipped.values())
    assert measured == 2 * 2 * 3
    over = skipped_turns(plan, [], -1, 2)
    assert {row["reason"] for row in over.values()} == {"the 2 minutes were over"}


def test_the_seconds_to_go_are_those_of_what_is_missing():
    assert seconds_to_go(PLAN, []) is None
    measured = [turn(Step(1_000, system, 0)) for system in PLAN.systems]
    rest = [t for t in run(PLAN)[0] if (t.past_tokens, t.number) != (1_000, 0)]
    assert seconds_to_go(PLAN, measured) == pytest.approx(sum(t.seconds for t in rest))
    assert seconds_to_go(PLAN, measured, remaining=50) == 50
    assert seconds_to_go(PLAN, run(PLAN)[0]) == 0

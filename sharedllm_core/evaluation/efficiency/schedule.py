"""Which turn is measured next: all in the order of lengths or, with a budget of minutes, the most important first.

Everything here is a function of the turns that were measured and of the seconds that remain.

With a budget, in this order, where *the comparison* is each SharedLLM and full attention:

1. one turn of the comparison at the shortest length, from which the seconds of longer ones are expected;
2. one turn of the comparison at the longest length at which all of it is expected to fit into the remaining time;
3. one turn of the comparison at a length in the middle between these;
4. a second and a third turn of the comparison at the longest and the middle length;
5. one turn of the other systems (streaming, encoder-decoder) at the shortest, the longest and the middle length;
6. one turn of the comparison at the other lengths, the longest first;
7. further turns of everything, the longest lengths first.

A turn that is expected to take longer than what remains never begins; a later one that fits takes its place. Its time
is expected from the turn of the same system at the nearest length, each of its figures scaled as its floor grows
with the length (`floors.py`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .turns import Step, Turn

__all__ = ["Plan", "expected_seconds", "next_step", "seconds_to_go", "skipped_turns"]

_FIRST_TURNS = 3  # of the comparison: so many have a median that is one of them
_Floors = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run measures.

    Attributes:
        lengths: tokens of past context.
        systems: names in tables, in the order in which they take turns.
        compared: those of them that matter most.
        repeats: turns of each.
        max_seconds: of one system at one length; after so many it takes no further turn.
        new_tokens: decoded in a turn.
        floors: the least seconds of each figure, by length and system.
    """

    lengths: tuple[int, ...]
    systems: tuple[str, ...]
    compared: tuple[str, ...]
    repeats: int
    max_seconds: float
    new_tokens: int
    floors: Mapping[tuple[int, str], _Floors]


def next_step(plan: Plan, turns: Sequence[Turn], remaining: float | None = None) -> Step | None:
    """The turn to measure now.

    Args:
        plan: what is measured in all.
        turns: those that were measured.
        remaining: seconds of the budget; `None` if there is none.

    Returns:
        The turn; `None` if nothing is missing, or nothing that is missing is expected to fit.
    """
    missing = _missing_steps(plan, turns)
    if remaining is None:
        return next(iter(missing), None)
    if remaining <= 0:
        return None
    by_importance = _by_importance(plan, turns, missing, remaining)
    return next((step for step in by_importance if expected_seconds(plan, turns, step) <= remaining), None)


def expected_seconds(plan: Plan, turns: Sequence[Turn], step: Step) -> float:
    """How long a turn is expected to take.

    Returns:
        Seconds; 0 if no turn was measured from which they could be expected, infinite if the system ran out of memory
        at a shorter length.
    """
    if any(t.error and t.system == step.system and t.past_tokens < step.past_tokens for t in turns):
        return math.inf
    measured = [turn for turn in turns if turn.figures]
    own = [turn for turn in measured if turn.system == step.system]
    nearest = _nearest(own or measured, step.past_tokens)
    if own:
        return max(_scaled_seconds(plan, turn, step.past_tokens) for turn in nearest)
    least = _least_seconds(plan, plan.floors.get((step.past_tokens, step.system), {}))
    return max((least * turn.seconds / (_least_seconds(plan, turn.floors) or math.inf) for turn in nearest), default=0)


def seconds_to_go(plan: Plan, turns: Sequence[Turn], remaining: float | None = None) -> float | None:
    """How long the rest of a run is expected to take; `None` while nothing was measured that tells."""
    if not any(turn.figures for turn in turns):
        return None
    total = 0.0
    for (length, system), steps in _by_row(_missing_steps(plan, turns)).items():
        seconds = expected_seconds(plan, turns, steps[0])
        if math.isfinite(seconds):
            allowed = plan.max_seconds - _seconds_of(turns, length, system)
            total += seconds * (math.ceil(min(len(steps), allowed / seconds)) if seconds else 0)
    return total if remaining is None else max(0.0, min(total, remaining))


def skipped_turns(
    plan: Plan, turns: Sequence[Turn], remaining: float, minutes: float
) -> dict[tuple[int, str], dict[str, Any]]:
    """What a budget left out.

    Returns:
        By length and system, how many `turns` were not measured, and the `reason`.
    """
    skipped: dict[tuple[int, str], dict[str, Any]] = {}
    for row, steps in _by_row(_missing_steps(plan, turns)).items():
        seconds = expected_seconds(plan, turns, steps[0])
        if math.isinf(seconds):
            reason = "out of memory at a shorter length"
        elif remaining <= 0 or seconds <= remaining:
            reason = f"the {minutes:g} minutes were over"
        else:
            reason = f"expected to take {seconds:.0f} s, and {remaining:.0f} s of {minutes:g} minutes were left"
        skipped[row] = {"turns": len(steps), "reason": reason}
    return skipped


def _missing_steps(plan: Plan, turns: Sequence[Turn]) -> list[Step]:
    """Length by length; within one, systems take turns."""
    return [
        Step(length, system, number)
        for length in plan.lengths
        for number in range(plan.repeats)
        for system in plan.systems
        if _takes_turn(plan, [t for t in turns if (t.past_tokens, t.system) == (length, system)], number)
    ]


def _takes_turn(plan: Plan, own: Sequence[Turn], number: int) -> bool:
    if any(turn.error or turn.number == number for turn in own):
        return False
    return sum(turn.seconds for turn in own) < plan.max_seconds


def _by_importance(plan: Plan, turns: Sequence[Turn], missing: Sequence[Step], remaining: float) -> Iterator[Step]:
    """The missing turns in the order of the module's docstring; some more than once."""

    def steps(systems: Sequence[str], lengths: Sequence[int], numbers: Sequence[int] = (0,)) -> list[Step]:
        wanted = [Step(length, system, number) for number in numbers for length in lengths for system in systems]
        return [step for step in wanted if step in missing]

    compared = plan.compared or plan.systems
    others = [system for system in plan.systems if system not in compared]
    ascending = sorted(set(plan.lengths))
    longest = _longest_comparison(plan, turns, missing, remaining) or ascending[0]
    up_to_longest = ascending[: ascending.index(longest) + 1]
    middle = up_to_longest[len(up_to_longest) // 2]
    yield from steps(compared, ascending[:1])
    yield from steps(compared, [longest, middle])
    yield from steps(compared, [longest, middle], range(1, _FIRST_TURNS))
    yield from steps(others, [ascending[0], longest, middle])
    yield from steps(compared, ascending[::-1])
    yield from steps([*compared, *others], ascending[::-1], range(plan.repeats))


def _longest_comparison(plan: Plan, turns: Sequence[Turn], missing: Sequence[Step], remaining: float) -> int | None:
    """The longest length at which every compared system has a turn or is expected to fit in one."""
    compared = plan.compared or plan.systems
    for length in sorted(plan.lengths, reverse=True):
        if any(turn.error and turn.past_tokens == length and turn.system in compared for turn in turns):
            continue
        first = [step for step in missing if step.past_tokens == length and step.system in compared and not step.number]
        if sum(expected_seconds(plan, turns, step) for step in first) <= remaining:
            return length
    return None


def _nearest(turns: Sequence[Turn], length: int) -> list[Turn]:
    """The turns at the longest length up to `length`; if there are none, at the shortest."""
    lengths = {turn.past_tokens for turn in turns}
    nearest = max((n for n in lengths if n <= length), default=min(lengths, default=0))
    return [turn for turn in turns if turn.past_tokens == nearest]


def _scaled_seconds(plan: Plan, turn: Turn, length: int) -> float:
    """The seconds of a turn at another length: figures grow with their floors, and the rest with the length."""
    floors = plan.floors.get((length, turn.system), {})
    before = plan.floors.get((turn.past_tokens, turn.system), turn.floors)
    by_length = length / turn.past_tokens
    total, rest = 0.0, turn.seconds
    for name, seconds in turn.figures.items():
        if not name.endswith("_bytes"):
            own = seconds * (plan.new_tokens if name == "decode" else 1)
            total += own * (floors[name] / before[name] if floors.get(name) and before.get(name) else by_length)
            rest -= own
    return total + max(rest, 0.0) * by_length


def _least_seconds(plan: Plan, floors: _Floors) -> float:
    return sum(seconds * (plan.new_tokens if name == "decode" else 1) for name, seconds in floors.items())


def _seconds_of(turns: Sequence[Turn], length: int, system: str) -> float:
    return sum(turn.seconds for turn in turns if (turn.past_tokens, turn.system) == (length, system))


def _by_row(steps: Sequence[Step]) -> dict[tuple[int, str], list[Step]]:
    rows: dict[tuple[int, str], list[Step]] = {}
    for step in steps:
        rows.setdefault((step.past_tokens, step.system), []).append(step)
    return rows

"""The benchmark of ablations runs: every arm can be trained and asked, and what is done is not done again."""

import json
from pathlib import Path

import ablations
import lookup_lessons
import pytest

ARGUMENTS = ["--seeds", "0", "--steps", "1", "1", "1", "--questions", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One step of each lesson for every arm; a loss that is not finite is an error."""
    out = tmp_path_factory.mktemp("ablations")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup_lessons, "ROWS", 2)
        ablations.main(["--out", str(out), *ARGUMENTS])
    return out


def rows(folder):
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]


def test_every_arm_takes_a_step_and_has_an_accuracy(folder):
    assert [row["arm"] for row in rows(folder)] == list(ablations.ARMS)
    assert all(0 <= row["accuracy"] <= 1 for row in rows(folder))


def test_what_is_done_is_not_done_again(folder, monkeypatch):
    monkeypatch.setattr(ablations, "run_arm", lambda *_: pytest.fail("a finished run was done again"))
    before = rows(folder)
    ablations.main(["--out", str(folder), *ARGUMENTS])
    assert rows(folder) == before


def test_the_table_names_every_arm(folder):
    lines = ablations.table(rows(folder)).splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == list(ablations.ARMS)


def test_a_difference_is_seen_where_its_interval_leaves_out_zero():
    assert ablations.verdict([-0.10, -0.11, -0.12]) == "worse"
    assert ablations.verdict([0.10, 0.11, 0.12]) == "better"
    assert ablations.verdict([0.10, -0.11, 0.12]) == "no difference seen"
    assert ablations.verdict([0.10]) == "too few seeds"


@pytest.mark.parametrize("name", ablations.ARMS)
def test_arms_change_nothing_but_what_they_say(name):
    arm = ablations.ARMS[name]
    assert name == "base" or (arm.setup, arm.asked) != (ablations.BASE, None)
    assert arm.compared_with in ablations.ARMS


def test_the_table_in_the_documentation_is_the_measured_one():
    results = Path(__file__).parents[2] / "docs" / "results"
    runs = [json.loads(line) for line in (results / "ablations.jsonl").read_text().splitlines()]
    assert ablations.table(runs) in (results / "injection.md").read_text()

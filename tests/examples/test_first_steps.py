"""The first example runs as a user runs it."""

from tests.examples.running import run_here, run_in_own_process


def test_it_reads_a_hundred_thousand_tokens_and_answers_from_them():
    shown = run_in_own_process("first_steps.py")
    assert "196 chunks, 784 retained nodes" in shown
    assert "without the past context are equal: True" in shown
    assert "equal after loading: True" in shown
    without, with_past = (line.split(maxsplit=1)[1] for line in shown.splitlines() if line.startswith("   with"))
    assert without != with_past


def test_it_takes_a_base_model_of_the_users(bases):
    shown = run_here("first_steps.py", "--base", bases("qwen3"), "--tokens", 1500)
    assert f"Add self-injection to {bases('qwen3')}" in shown

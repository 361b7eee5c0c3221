"""The first example runs as a user runs it."""

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "first_steps.py"


def run(*arguments):
    done = subprocess.run([sys.executable, EXAMPLE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_reads_a_hundred_thousand_tokens_and_answers_from_them():
    shown = run()
    assert "196 chunks, 784 retained nodes" in shown
    assert "without the past context are equal: True" in shown
    assert "equal after loading: True" in shown
    without, with_past = (line.split(maxsplit=1)[1] for line in shown.splitlines() if line.startswith("   with"))
    assert without != with_past


def test_it_takes_a_base_model_of_the_users(bases):
    assert "Add self-injection to " + str(bases("qwen3")) in run("--base", str(bases("qwen3")), "--tokens", "1500")

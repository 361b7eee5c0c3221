"""The second part of `make demo` as a user runs it, with real weights and one question."""

import re
import subprocess
import sys
from pathlib import Path

from tests.real_models import smollm2_folder

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "real_documents.py"


def test_a_real_model_answers_from_pythons_reference_and_says_what_was_read():
    asked = ["--model", smollm2_folder(), "--quote-tokens", 200, "--ask", "What does the continue statement do?"]
    done = subprocess.run([sys.executable, DEMO, *map(str, asked)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    total = int(re.search(r"([\d,]+) tokens of Python's reference", done.stdout)[1].replace(",", ""))
    assert total > 80_000
    quoted = int(re.search(r"read: ([\d,]+) of", done.stdout)[1])
    assert 50 < quoted <= 220
    assert re.search(r"^A: \w", done.stdout, re.MULTILINE)
    assert re.search(r"\[python reference, [\w-]+\] ", done.stdout)

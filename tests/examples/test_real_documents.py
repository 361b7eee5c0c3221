"""The second part of `make demo` as a user runs it, with real weights and one question."""

import re

from tests.examples.running import run_here
from tests.real_models import smollm2_folder


def test_a_real_model_answers_from_pythons_reference_and_says_what_was_read():
    asked = ["--model", smollm2_folder(), "--quote-tokens", 200, "--ask", "What does the continue statement do?"]
    shown = run_here("demo/real_documents.py", *asked)
    total = int(re.search(r"([\d,]+) tokens of Python's reference", shown)[1].replace(",", ""))
    assert total > 80_000
    quoted = int(re.search(r"read: ([\d,]+) of", shown)[1])
    assert 50 < quoted <= 220
    assert re.search(r"^A: \w", shown, re.MULTILINE)
    assert re.search(r"\[python reference, [\w-]+\] ", shown)

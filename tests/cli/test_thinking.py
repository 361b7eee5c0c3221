"""Reasoning models on the command line: thoughts on standard error, the switch, and refusals in its words."""

import json

import pytest

from sharedllm_core.cli import engines
from tests.thinking_templates import QWEN3, R1, scripted_engine

THOUGHTS = "The lease says so."
ANSWER = "Ninety days."


@pytest.fixture
def model(monkeypatch):
    """Let commands load a scripted model."""

    def load(template, script):
        engine = scripted_engine(template, script)
        monkeypatch.setattr(engines, "make_engine", lambda *_: engine)
        return engine

    return load


def test_thoughts_go_to_standard_error_and_the_answer_to_standard_output(sharedllm, model):
    model(QWEN3, f"<think>\n{THOUGHTS}\n</think>\n\n{ANSWER}")
    result = sharedllm("ask", "What period?")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{ANSWER}\n"
    assert f"Thoughts:\n{THOUGHTS}\n\n" in result.stderr
    assert "of them thoughts" in result.stderr


def test_an_answer_that_is_cut_while_the_model_thinks_shows_its_thoughts(sharedllm, model):
    model(QWEN3, "<think>\nIt goes on…")
    result = sharedllm("ask", "What period?", "--max-new-tokens", 20)
    assert result.stdout == "\n"
    assert "It goes on" in result.stderr
    assert "the answer was cut off after 20 tokens; raise --max-new-tokens" in result.stderr


def test_json_has_thoughts_and_nothing_else_is_printed_of_them(sharedllm, model):
    model(QWEN3, f"<think>\n{THOUGHTS}\n</think>\n\n{ANSWER}")
    result = sharedllm("ask", "What period?", "--json")
    found = json.loads(result.stdout)
    assert (found["thoughts"], found["answer"]) == (THOUGHTS, ANSWER)
    assert found["usage"]["thought_tokens"] > 0
    assert THOUGHTS not in result.stderr


def test_the_options_switch_thinking(sharedllm, model):
    model(QWEN3, ANSWER)

    def prompt_tokens(*options):
        return json.loads(sharedllm("ask", "What?", "--json", *options).stdout)["usage"]["running_text_tokens"]

    assert prompt_tokens("--no-thinking") > prompt_tokens() == prompt_tokens("--thinking")


def test_a_refusal_names_the_option(sharedllm, model):
    model(R1, f"So.</think>{ANSWER}")
    result = sharedllm("ask", "What?", "--no-thinking")
    assert result.exit_code == 1
    assert "Error: --no-thinking needs a chat template with a switch for it" in result.stderr
    assert "leave --thinking out" in result.stderr


def test_inspect_shows_thoughts_apart_from_the_answer(sharedllm, model):
    model(QWEN3, f"<think>\n{THOUGHTS}\n</think>\n\n{ANSWER}")
    result = sharedllm("inspect", "docs", "--question", "What?")
    assert result.exit_code == 0, result.stderr
    assert f"Thoughts: {THOUGHTS}\nAnswer: {ANSWER}" in result.stdout

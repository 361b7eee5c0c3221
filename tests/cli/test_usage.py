"""Help, version, usage, and the page of the documentation that is made of them."""

import importlib.util
import json

import pytest

from sharedllm_core import __version__
from sharedllm_core.cli.wording import in_options, visible
from tests.tiny_engine import ROOT

COMMANDS = [["ask"], ["read"], ["inspect"], ["plan"], ["eval"], ["make-tasks"], ["cache"]]
CACHE_COMMANDS = [["cache", name] for name in ("stats", "verify", "clear", "forget")]


def test_the_version_is_said(sharedllm):
    result = sharedllm("--version")
    assert (result.exit_code, result.stdout) == (0, f"sharedllm {__version__}\n")


@pytest.mark.parametrize("command", [[], *COMMANDS, *CACHE_COMMANDS], ids=" ".join)
def test_every_command_has_help_of_80_columns_without_cut_sentences(sharedllm, command):
    result = sharedllm(*command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(" ".join(["Usage: sharedllm", *command]))
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert not any(line.rstrip().endswith("...") for line in result.stdout.splitlines()[1:])


@pytest.mark.parametrize("command", [[], ["cache"]], ids=str)
def test_nothing_asked_for_is_answered_by_help_and_is_wrong_usage(sharedllm, command):
    result = sharedllm(*command)
    assert result.exit_code == 2
    assert "Commands:" in result.output


@pytest.mark.parametrize("command", [["--nothing"], ["nothing"], ["ask", "--nothing"], ["cache", "stats", "--nothing"]])
def test_what_is_unknown_is_wrong_usage(sharedllm, command):
    result = sharedllm(*command)
    assert result.exit_code == 2
    assert "No such" in result.stderr
    assert result.stdout == ""


def test_documents_given_without_docs_are_wrong_usage(sharedllm):
    assert sharedllm("ask", "Who?", "docs").exit_code == 2


def test_plan_is_registered_and_its_errors_name_its_options(sharedllm):
    arguments = ["plan", "--model", "llama-3.1-8b", "--questions-per-day", "10", "--tokens"]
    assert json.loads(sharedllm(*arguments, 128_000, "--json").stdout)["past_tokens"] == 128_000
    result = sharedllm(*arguments, -5)
    assert result.exit_code == 1
    assert result.stderr == "Error: --tokens -5 is not a whole number of at least 0; give one\n"


@pytest.mark.parametrize("arguments", [["--debug", "ask"], ["ask", "--debug"]], ids=" ".join)
def test_debug_shows_the_traceback_wherever_it_stands(sharedllm, arguments):
    result = sharedllm(*arguments, "Who?", "--docs", "none")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: none does not exist")


def test_messages_name_options_instead_of_arguments():
    assert in_options("policy='x' is wrong, a=1", {"policy"}) == "--policy 'x' is wrong, a=1"
    assert in_options("top_p=0 is wrong") == "top_p=0 is wrong", "of this command it is no option"
    assert visible("a\tb\nc\x1b[0m\x9b\r") == "a\tb\nc\ufffd[0m\ufffd\ufffd"


def test_the_page_of_the_command_line_is_up_to_date():
    found = importlib.util.spec_from_file_location("generate_cli", ROOT / "docs" / "generate_cli.py")
    generate = importlib.util.module_from_spec(found)
    found.loader.exec_module(generate)
    assert generate.PAGE.read_text(encoding="utf-8") == generate.page(), "run `make docs-cli`"

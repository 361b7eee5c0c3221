"""Help, version, usage, and the page of the documentation that is made of them."""

import importlib.util
import json

import pytest
import typer

from sharedllm_core import __version__
from sharedllm_core.cli.main import app
from sharedllm_core.cli.output import visible
from sharedllm_core.cli.wording import command_wording, current_wording, running_command
from sharedllm_core.errors import PYTHON, InputError, setting
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["docs/0.txt"], "docs/0.txt is a file or folder; give the question first"),
        (["docs", "Who?"], "docs is a file or folder; give the question first"),
        (["--docs", "-"], "standard input is the document; give the question as an argument"),
    ],
    ids=" ".join,
)
def test_documents_in_place_of_the_question_are_wrong_usage(sharedllm, arguments, said):
    result = sharedllm("ask", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


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


def wording_of(*command):
    found = typer.main.get_command(app)
    for name in command:
        found = found.commands[name]
    return command_wording(found.params)


def test_messages_name_options_instead_of_arguments():
    assert wording_of("ask").text(f"{setting('policy', 'x')} is wrong, a=1") == "--policy 'x' is wrong, a=1"
    wrong = f"{setting('top_p', 0)} is wrong"
    assert wording_of("plan").text(wrong) == "top_p=0 is wrong", "of this command it is no option"


@pytest.mark.parametrize(
    ("command", "named", "shown"),
    [
        (["ask"], setting("num_evidence", 3), "--evidence 3"),
        (["ask"], setting("max_bytes"), "--cache-bytes"),
        (["ask"], setting("allow_untrained", True), "--allow-untrained"),
        (["inspect"], setting("question", ""), "--question ''"),
        (["read"], setting("on_error", "skip"), "--skip-unreadable"),
        (["cache", "forget"], setting("max_file_bytes"), "--max-file-bytes"),
        (["plan"], setting("past_tokens", -5), "--tokens -5"),
        (["make-tasks"], setting("forms"), "--form"),
        (["eval"], setting("forms"), "--forms"),
    ],
    ids=lambda part: part if str(part).startswith("--") else "",
)
def test_a_setting_is_the_option_of_the_command_that_runs(command, named, shown):
    assert wording_of(*command).text(named) == shown


@pytest.mark.parametrize("command", [["read"], ["cache", "stats"]], ids=str)
def test_a_remedy_that_a_command_lacks_is_left_out(command):
    error = InputError("it is wrong", remedy=[f"pass {setting('allow_untrained', True)}", "train it"])
    error.wording = wording_of(*command)
    assert str(error) == "it is wrong; train it"


def test_the_wording_is_that_of_the_running_command_and_of_python_afterwards():
    with running_command([]) as wording:
        assert current_wording() is wording
    assert current_wording() is PYTHON


def test_control_characters_are_replaced():
    assert visible("a\tb\nc\x1b[0m\x9b\r") == "a\tb\nc\ufffd[0m\ufffd\ufffd"


def test_the_page_of_the_command_line_is_up_to_date():
    found = importlib.util.spec_from_file_location("generate_cli", ROOT / "docs" / "generate_cli.py")
    generate = importlib.util.module_from_spec(found)
    found.loader.exec_module(generate)
    assert generate.PAGE.read_text(encoding="utf-8") == generate.page(), "run `make docs-cli`"

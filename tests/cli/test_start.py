"""The first second of the command line: what is imported, and an interrupt in the middle of it."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cli import processes
from tests.cli.processes import command

HEAVY = {"torch", "transformers", "tokenizers", "numpy", "rich.console", "huggingface_hub"}
COMPLETION = {"_SHAREDLLM_COMPLETE": "complete_bash", "COMP_WORDS": "sharedllm rea", "COMP_CWORD": "1"}


def with_import_times(*arguments):
    """A command that writes a line to standard error for each module that it imports."""
    return [sys.executable, "-X", "importtime", *command(*arguments)[1:]]


def imported(line):
    return line.rsplit("|", 1)[-1].strip()


def run(*arguments, **environment):
    """A command's result, and the modules that it imported."""
    done = subprocess.run(
        with_import_times(*arguments),
        capture_output=True,
        text=True,
        env=processes.environment(**environment),
        timeout=90,
        check=False,
    )
    return done, {imported(line) for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize(
    ("arguments", "environment", "shown"),
    [
        (["--help"], {}, "Commands:"),
        (["--version"], {}, "sharedllm "),
        (["eval", "--help"], {}, "--measurements"),
        ([], COMPLETION, "read"),
    ],
    ids=["help", "version", "help of a command", "completion"],
)
def test_help_and_completion_load_no_heavy_library(arguments, environment, shown):
    done, modules = run(*arguments, **environment)
    assert shown in done.stdout
    assert "sharedllm_core.cli.main" in modules
    assert not modules & HEAVY


def test_a_mistyped_path_is_reported_before_torch_is_loaded():
    done, modules = run("ask", "Who?", "none.txt")
    assert done.returncode == 1
    assert "none.txt does not exist" in done.stderr
    assert "torch" not in modules


@pytest.mark.parametrize("module", ["typer.main", "torch._C", "transformers.models.auto"])
def test_an_interrupt_while_libraries_load_ends_quietly_with_130(module):
    process = subprocess.Popen(
        with_import_times("read", "docs"),
        stderr=subprocess.PIPE,
        text=True,
        env=processes.environment(),
        preexec_fn=processes.heed_interrupts,  # noqa: PLW1509
    )
    try:
        for line in process.stderr:
            if imported(line) == module:
                break
        else:
            pytest.fail(f"{module} was not imported")
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    said = [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert said == ["interrupted before anything was read or changed"]


def test_an_ignored_interrupt_stays_ignored():
    ignoring = "trap '' INT; exec " + " ".join(f"'{part}'" for part in with_import_times("ask", "Who?", "none.txt"))
    process = subprocess.Popen(
        ["/bin/sh", "-c", ignoring], stderr=subprocess.PIPE, text=True, env=processes.environment()
    )
    for line in process.stderr:
        if imported(line) == "typer.main":
            os.kill(process.pid, signal.SIGINT)
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "none.txt does not exist" in rest

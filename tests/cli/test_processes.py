"""The command line in processes of its own: streams, terminals, signals."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from tests import real_models, tiny_engine
from tests.cli import processes
from tests.cli.processes import Terminal

SHORT = ["--max-new-tokens", "4"]


def test_an_error_is_one_line_on_stderr_and_exit_code_1():
    done = processes.run("ask", "Who?", "--docs", "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: none does not exist; give a path or a glob\n"


def test_a_cache_that_fails_is_a_warning_in_words_and_the_answer_still_comes(folder):
    (folder / "file").write_text("")
    done = processes.run("ask", "Who?", "--docs", "docs", *SHORT, SHAREDLLM_CACHE_DIR="file/below")
    assert done.returncode == 0
    warned = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert warned
    assert "tree cache, disk tier" in warned[0]
    assert "CacheWarning" not in done.stderr


def test_without_a_model_one_line_says_which_one_answers():
    real_models.smollm2_folder()
    weights = {"SHAREDLLM_CACHE_DIR": str(real_models.smollm2_cache())}
    done = processes.run("ask", *SHORT, stdin="Who?\nWhy?\n", SHAREDLLM_MODEL="", **weights)
    assert done.returncode == 0, done.stderr
    named = [line for line in done.stderr.splitlines() if "no model was named" in line]
    assert len(named) == 1
    assert named[0].startswith("Warning: ")
    assert "name another with --model, by the folder or hub id" in named[0]
    assert "no model was named" not in processes.run("ask", "Who?", *SHORT, "--model", "reader", **weights).stderr


def test_piped_questions_are_answered_and_stdout_is_json_alone_whatever_the_names(folder):
    name = os.fsdecode(b"caf\xe9.txt")  # not UTF-8, as old archives have them
    (folder / "docs" / name).write_text("The tenant paid the rent.")
    done = processes.run("ask", "--docs", f"docs/{name}", *SHORT, "--json", stdin="Who?\nWhy?\n")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["question"] for row in found] == ["Who?", "Why?"]
    assert found[0]["evidence"][0]["document_id"] == r"docs/caf\xe9.txt", "what is not Unicode is escaped"
    assert "Reading" not in done.stderr, "a progress bar is for terminals"
    assert "\x1b" not in done.stderr


def test_whoever_closes_the_pipe_gets_no_traceback():
    quoted = " ".join(f"'{part}'" for part in processes.command("ask", "Who?", "--docs", "docs", "--evidence", "9"))
    environment = processes.environment(PYTHONUNBUFFERED="1")
    started = [
        subprocess.Popen(["/bin/sh", "-c", f"{quoted} | {reader}"], stderr=subprocess.PIPE, text=True, env=environment)
        for reader in ("head -1", "true")
    ]
    for process in started:
        _, said = process.communicate(timeout=90)
        assert not [line for line in said.splitlines() if "Traceback" in line or "ignored" in line or "Error" in line]


def run_in_bash(line):
    return subprocess.run(
        ["/bin/bash", "-c", line], capture_output=True, text=True, env=processes.environment(), check=False
    )


@pytest.mark.parametrize("arguments", [["ask", "Who?", "docs", *SHORT], ["--help"]], ids=["ask", "help"])
def test_a_command_whose_standard_output_is_closed_ends_as_usual(arguments):
    quoted = " ".join(f"'{part}'" for part in processes.command(*arguments))
    done = run_in_bash(f"{quoted} >&-")
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_documents_come_from_pipes(folder):
    (folder / "page.html").write_text("<html><p>The fee is <b>9 pounds</b>.</p><script>no</script>")
    ask = " ".join(f"'{part}'" for part in processes.command("ask", "Which fee?", *SHORT, "--json"))
    for given, name in (("-d - < page.html", "standard input"), ("<(cat page.html)", "/dev/fd/")):
        done = run_in_bash(f"{ask} {given}")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)["evidence"][0]
        assert found["document_id"].startswith(name)
        assert found["text"] in "The fee is 9 pounds."


def test_a_pipe_that_exceeds_the_limit_is_an_error_that_names_it(folder):
    (folder / "long.txt").write_text("rent " * 100)
    with (folder / "long.txt").open("rb") as file:
        done = subprocess.run(
            processes.command("ask", "Who?", "-d", "-", "--max-file-bytes", "99"),
            stdin=file,
            capture_output=True,
            text=True,
            env=processes.environment(),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: standard input cannot be read: it has more than the 99 bytes allowed; raise --max-file-bytes\n"
    )


def test_a_byte_order_mark_before_piped_questions_is_dropped():
    done = processes.run("ask", *SHORT, "--json", stdin="\ufeffWho?\r\n\ufeff\r\nWhy?\r\n")
    assert [json.loads(line)["question"] for line in done.stdout.splitlines()] == ["Who?", "Why?"]


def test_an_interrupt_ends_a_long_read_quickly_and_keeps_what_was_read(folder, sharedllm):
    (folder / "long.txt").write_text(tiny_engine.words(800_000))
    process = subprocess.Popen(
        processes.command("read", "long.txt"),
        stderr=subprocess.PIPE,
        text=True,
        env=processes.environment(),
        preexec_fn=processes.heed_interrupts,  # noqa: PLW1509
    )
    try:
        processes.wait_until(lambda: any((folder / "cache").rglob("*.safetensors")) or process.poll() is not None)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - begin < 5
    assert process.returncode == 130, said
    found = re.fullmatch(r"interrupted: the trees of ([\d,]+) of ([\d,]+) tokens are in the tree cache, .*\n", said)
    kept, total = (int(number.replace(",", "")) for number in found.groups())
    assert 0 < kept < total
    stats = json.loads(sharedllm("cache", "stats", "--json").stdout)
    assert stats["entries"] > 0
    assert sharedllm("cache", "verify").exit_code == 0


def test_a_session_in_a_terminal_goes_on_after_an_error_and_ends_with_an_empty_line():
    terminal = Terminal("ask", "--docs", "docs", *SHORT)
    terminal.wait_for("Ask; an empty line ends.")
    terminal.wait_for("> ")
    assert "Reading" in terminal.shown, "a terminal is shown progress"
    terminal.type("Who pays?\n")
    terminal.wait_for("4 written")
    terminal.wait_for("> ", 2)
    terminal.type("rent " * 700 + "\n")
    terminal.wait_for("Error: the last turn has")
    terminal.wait_for("> ", 3)
    terminal.type("Why?\n")
    terminal.wait_for("4 written", 2)
    terminal.wait_for("> ", 4)
    terminal.type("\n")
    assert terminal.wait() == 0
    assert "Traceback" not in terminal.shown


def test_a_session_writes_answers_alone_to_a_file_and_an_interrupt_ends_one_with_130(folder):
    interrupted = Terminal("ask", *SHORT)
    with (folder / "answers.jsonl").open("wb") as file:
        terminal = Terminal("ask", "--docs", "docs", *SHORT, "--json", stdout=file)
        terminal.wait_for("> ")
        terminal.type("Who pays?\n")
        terminal.wait_for("> ", 2)
        terminal.type("\x04")
        assert terminal.wait() == 0
    assert json.loads((folder / "answers.jsonl").read_text())["question"] == "Who pays?"
    interrupted.wait_for("> ")
    interrupted.process.send_signal(signal.SIGINT)
    assert interrupted.wait() == 130
    assert "Traceback" not in interrupted.shown


def test_a_terminal_shows_the_files_before_any_model_is_loaded(folder):
    (folder / "many").mkdir()
    for number in range(30):
        (folder / "many" / f"{number:02} \x1b[31m.html").write_text(f"<p>{tiny_engine.words(2000, seed=number)}</p>")
    terminal = Terminal("read", "many")
    terminal.wait_for("Opening")
    terminal.wait_for("/30 files")
    assert "Reading" not in terminal.shown
    assert b"\x1b[31m.html" not in terminal.raw, "names cannot change colours"
    assert terminal.wait() == 0


def test_an_answer_that_the_default_budget_cuts_off_is_one_line(folder, checkpoint):
    settings = {"suppress_tokens": [tiny_engine.tokenizer().eos_token_id]}
    endless = tiny_engine.with_generation_config(checkpoint, folder / "endless", **settings)
    for debug in ("", "1"):
        done = processes.run("ask", "Who?", "--model", endless, SHAREDLLM_DEBUG=debug)
        assert done.returncode == 0, done.stderr
        cut_off = [line for line in done.stderr.splitlines() if "cut off" in line]
        assert cut_off == ["Warning: the answer was cut off after 128 tokens; raise --max-new-tokens"]

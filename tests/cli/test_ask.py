"""`ask`: questions, documents, and everything that can be wrong with them."""

import json
import os
import time

import pytest

from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

SHORT = ["--max-new-tokens", "4"]


def answer(result):
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(result, code=1):
    """The message of a command that is refused, which is one line after the usage."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return next(line for line in result.stderr.splitlines() if line.startswith("Error: "))


def test_an_answer_comes_with_its_evidence_and_figures_go_to_stderr(sharedllm):
    result = sharedllm("ask", "Who pays?", "--docs", "docs", "--max-new-tokens", 12)
    assert result.exit_code == 0, result.stderr
    written, evidence = result.stdout.split("\n\n", 1)
    assert written
    assert evidence.startswith("[1] docs/")
    assert "of the attention" in evidence
    assert "tokens of documents (100% cached)" in result.stderr


def test_an_answer_that_is_cut_off_says_so_once_on_stderr(sharedllm):
    warning = "Warning: the answer was cut off after 4 tokens; raise --max-new-tokens"
    for asked in (["Who?"], ["Who?", "--docs", "docs"], ["Who?", "--docs", "docs", "--once"]):
        result = sharedllm("ask", *asked, *SHORT)
        assert result.stderr.splitlines().count(warning) == 1
    session = sharedllm("ask", *SHORT, stdin="Who?\nWhy?\n")
    assert session.stderr.splitlines().count(warning) == 2, "once for each answer"
    as_json = sharedllm("ask", "Who?", *SHORT, "--json")
    assert (json.loads(as_json.stdout)["finish_reason"], as_json.stderr) == ("length", "")
    text = sharedllm("ask", "Who?", *SHORT).stdout.rstrip("\n")
    stopped = sharedllm("ask", "Who?", *SHORT, "--stop", text[1:])
    assert "cut off" not in stopped.stderr


@BOTH_READINGS
def test_json_is_one_object_with_answer_usage_and_evidence(sharedllm):
    found = answer(sharedllm("ask", "Who pays?", "--docs", "docs", *SHORT, "--json", "--evidence", 2))
    expected = ["question", "answer", "thoughts", "finish_reason", "usage", "reading", "evidence", "moved"]
    assert list(found) == expected
    assert found["question"] == "Who pays?"
    assert found["usage"]["completion_tokens"] == 4
    assert 1 <= len(found["evidence"]) <= 2
    for span in found["evidence"]:
        with open(span["document_id"], encoding="utf-8") as file:
            assert file.read()[span["start"] : span["end"]] == span["text"]


@BOTH_READINGS
def test_documents_come_from_files_folders_and_globs(sharedllm, folder):
    (folder / "more").mkdir()
    (folder / "more" / "a.md").write_text("The tenant paid.")
    (folder / "more" / "b.txt").write_text("Not this one.")

    def tokens(*docs):
        options = [part for path in docs for part in ("--docs", path)]
        return answer(sharedllm("ask", "Who?", *options, *SHORT, "--json"))["usage"]["past_context_tokens"]

    assert tokens("docs", "more/*.md") == tokens("docs") + tokens("more/a.md")
    assert tokens("docs", "docs/1.txt", "docs/*.txt") == tokens("docs"), "a file named twice is read once"
    after = answer(sharedllm("ask", "Who?", "docs", "--docs", "more/a.md", *SHORT, "--json", "more/b.txt"))
    assert after["usage"]["past_context_tokens"] == tokens("docs", "more"), "documents may follow the question"


@BOTH_READINGS
def test_once_reads_less_and_answers_alike(sharedllm):
    once = answer(sharedllm("ask", "Who?", "--docs", "docs", *SHORT, "--once", "--json"))
    whole = answer(sharedllm("ask", "Who?", "--docs", "docs", *SHORT, "--json"))
    assert (once["answer"], once["usage"]["cached_tokens"]) == (whole["answer"], 0)
    injects = whole["reading"]["mode"] == "injected"  # a model that quotes has no trees to cache
    assert whole["usage"]["cached_tokens"] == (whole["usage"]["past_context_tokens"] if injects else 0)


@BOTH_READINGS
def test_without_documents_the_figures_say_so(sharedllm):
    result = sharedllm("ask", "Who?", *SHORT)
    assert result.exit_code == 0
    assert result.stderr.startswith("no documents, ")


@BOTH_READINGS
def test_sampling_settings_reach_the_model(sharedllm):
    def drawn(seed):
        options = ["--temperature", 2, "--top-p", 0.9, "--seed", seed, "--max-new-tokens", 12]
        return answer(sharedllm("ask", "Who?", "--docs", "docs", *options, "--json"))["answer"]

    assert drawn(1) == drawn(1) != drawn(2)
    text = answer(sharedllm("ask", "Who?", "--docs", "docs", "--max-new-tokens", 12, "--json"))["answer"]
    stopped = answer(sharedllm("ask", "Who?", "--docs", "docs", "--max-new-tokens", 12, "--stop", text[3:6], "--json"))
    assert stopped["answer"] == text[: text.index(text[3:6])]


def test_a_model_that_samples_does_so_unless_an_option_says_otherwise(sharedllm, checkpoint, folder):
    settings = {"do_sample": True, "temperature": 3.0, "repetition_penalty": 9.0}
    sampled = tiny_engine.with_generation_config(checkpoint, folder / "sampled", **settings)

    def text(*options, model=sampled):
        command = ["ask", "Who?", "--max-new-tokens", 12, "--json", "--model", model, *options]
        return answer(sharedllm(*command))["answer"]

    greedy = ["--temperature", 0, "--repetition-penalty", 1]
    assert text("--seed", 1) == text("--seed", 1) != text("--seed", 2)
    assert text("--seed", 1) != text("--seed", 1, "--top-k", 2)
    assert text(*greedy) == text(model=checkpoint)


# ------------------------------------------------------------------------------------------ bad documents


def test_a_path_that_does_not_exist_is_named(sharedllm):
    message = refused(sharedllm("ask", "Who?", "--docs", "none.txt"))
    assert message == "Error: none.txt does not exist; give a path or a glob"
    assert "matches no file" in refused(sharedllm("ask", "Who?", "--docs", "docs/*.pdf"))
    assert "a path is empty" in refused(sharedllm("ask", "Who?", "--docs", ""), code=2)


@BOTH_READINGS
def test_an_empty_folder_and_files_of_nothing_are_refused(sharedllm, folder):
    (folder / "empty").mkdir()
    assert "there are no documents in empty" in refused(sharedllm("ask", "Who?", "--docs", "empty"))
    (folder / "empty" / "nothing.txt").write_text("")
    assert "hold no text" in refused(sharedllm("ask", "Who?", "--docs", "empty"))


@BOTH_READINGS
def test_a_binary_file_is_named_with_the_option_that_leaves_it_out(sharedllm, folder):
    (folder / "docs" / "data").write_bytes(b"\x01\x02\0\0")
    message = refused(sharedllm("ask", "Who?", "--docs", "docs"))
    assert "docs/data cannot be read: it is a binary file" in message
    assert message.endswith("with --skip-unreadable")
    result = sharedllm("ask", "Who?", "--docs", "docs", "--skip-unreadable", *SHORT, "--json")
    assert answer(result)["usage"]["past_context_tokens"] > 0
    assert "skipped docs/data: it is a binary file" in result.stderr
    alone = refused(sharedllm("ask", "Who?", "--docs", "docs/data", "--skip-unreadable"))
    assert alone.endswith("no documents in docs/data; 1 file could not be read; give other files or folders")


@BOTH_READINGS
def test_text_of_another_encoding_is_read_as_what_it_says(sharedllm, folder):
    text = "Die Prüfung der größten Gebäude kostet 20 € für jede Behörde in München. " * 3
    (folder / "german.txt").write_bytes(text.encode("cp1252"))
    found = answer(sharedllm("ask", "Was?", "--docs", "german.txt", *SHORT, "--json"))
    assert found["evidence"][0]["text"] in text


def test_links_to_folders_end_in_a_circle_and_a_file_that_links_to_itself_is_named(sharedllm, folder):
    (folder / "docs" / "up").symlink_to(folder / "docs")
    assert answer(sharedllm("ask", "Who?", "--docs", "docs", *SHORT, "--json"))["answer"]
    (folder / "docs" / "self.txt").symlink_to("self.txt")
    assert "docs/self.txt cannot be read" in refused(sharedllm("ask", "Who?", "--docs", "docs"))
    assert "circular link" in refused(sharedllm("ask", "Who?", "--docs", "docs/self.txt"))
    assert answer(sharedllm("ask", "Who?", "--docs", "docs", "--skip-unreadable", *SHORT, "--json"))["answer"]


def test_a_file_of_300_megabytes_is_refused_at_once_by_name_size_and_limit(sharedllm, folder):
    with (folder / "large.txt").open("wb") as file:
        file.truncate(300_000_000)
    begin = time.monotonic()
    message = refused(sharedllm("ask", "Who?", "--docs", "large.txt", "--model", "not/loaded/before"))
    assert time.monotonic() - begin < 5
    assert "large.txt cannot be read: it has 300,000,000 bytes and the limit is 100,000,000" in message
    assert "raise --max-file-bytes" in message
    assert "the limit is 50" in refused(sharedllm("ask", "Who?", "--docs", "docs", "--max-file-bytes", 50))


def test_ten_thousand_files_are_one_library(sharedllm, folder):
    many = folder / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number:05}.txt").write_text(f"tenant {number}")
    found = answer(sharedllm("ask", "Who?", "--docs", "many", "--once", "--cache-bytes", 0, *SHORT, "--json"))
    assert found["usage"]["past_context_tokens"] > 10_000
    assert found["usage"]["injected_states"] >= 10_000, "every file has a state at least"
    span = found["evidence"][0]
    assert span["text"] in f"tenant {int(os.path.basename(span['document_id'])[:5])}"


# ------------------------------------------------------------------------------------------ bad questions and options


@pytest.mark.parametrize("question", ["", " \n"])
def test_an_empty_question_is_wrong_usage(sharedllm, question):
    assert refused(sharedllm("ask", question, "--docs", "docs"), code=2).endswith("it is empty; give a question")


def test_a_pipe_without_a_question_is_wrong_usage(sharedllm):
    message = refused(sharedllm("ask", "--docs", "docs", stdin="\n\n"), code=2)
    assert message.endswith("give it as an argument, or pipe questions, one a line")


@BOTH_READINGS
def test_a_question_that_is_longer_than_the_window_is_refused_before_anything_is_read(sharedllm, folder):
    message = refused(sharedllm("ask", tiny_engine.words(900), "--docs", "docs"))
    assert f"the base model's window is {tiny_engine.WINDOW}" in message
    assert "lower --max-new-tokens" in message
    assert not (folder / "cache").exists()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--temperature", "-1"], 2, "'--temperature'"),
        (["--max-new-tokens", "0"], 2, "'--max-new-tokens'"),
        (["--max-new-tokens", "x"], 2, "'--max-new-tokens'"),
        (["--evidence", "-1"], 2, "'--evidence'"),
        (["--seed", "9" * 30], 2, "'--seed'"),
        (["--cache-bytes", "-1"], 2, "'--cache-bytes'"),
        (["--dtype", "float99"], 2, "give one of float32, bfloat16, float16"),
        (["--policy", "best"], 2, "use one of lexical, pooled, right, search, similarity, two_looks"),
        (["--device", "abacus"], 2, "'abacus' cannot be used here"),
        (["--cache-dir", "docs/0.txt"], 2, "'docs/0.txt' is a file"),
        (["--top-p", "0"], 1, "--top-p 0.0 is not a finite number above 0 and at most 1"),
        (["--stop", ""], 1, "none empty"),
        (["--model", "docs"], 1, "docs is not a checkpoint"),
        (["--model", "none/there"], 1, "none/there is neither a folder nor a hub id that can be reached"),
    ],
)
def test_a_wrong_option_is_said_in_one_line_that_names_it(sharedllm, folder, options, code, said):
    assert said in refused(sharedllm("ask", "Who?", "--docs", "docs", *options), code=code)
    assert not (folder / "cache").exists(), "nothing was read before"


def test_an_untrained_model_quotes_and_injects_only_when_that_is_allowed(sharedllm, folder, untrained):
    asked = ["ask", "Who?", "--docs", "docs", "--model", untrained, *SHORT]
    quoted = answer(sharedllm(*asked, "--json", "--quote-tokens", 150))["reading"]
    assert quoted["mode"] == "quoted"
    assert 0 < quoted["quoted_tokens"] <= 150
    message = refused(sharedllm(*asked, "--reading", "injected"))
    assert "`sharedllm train`" in message
    assert "--allow-untrained" in message
    assert not (folder / "cache").exists()
    assert answer(sharedllm(*asked, "--allow-untrained", "--json"))["answer"]


@BOTH_READINGS
def test_documents_cannot_move_the_cursor_of_a_terminal(sharedllm, folder):
    (folder / "evil.txt").write_text("tenant \x1b[2J\x1b]0;owned\x07 paid")
    result = sharedllm("ask", "Who?", "--docs", "evil.txt", *SHORT)
    assert "tenant \ufffd[2J" in result.stdout
    assert "\x1b" not in result.output


# ------------------------------------------------------------------------------------------ sessions


@BOTH_READINGS
def test_each_piped_question_is_answered_with_those_before_it(sharedllm):
    result = sharedllm("ask", "--docs", "docs", *SHORT, "--json", stdin="Who pays?\n\n  Why?  \nWhen?")
    assert result.exit_code == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["question"] for row in found] == ["Who pays?", "Why?", "When?"]
    lengths = [row["usage"]["running_text_tokens"] for row in found]
    assert lengths == sorted(set(lengths))
    alone = answer(sharedllm("ask", "Who pays?", "--docs", "docs", *SHORT, "--json"))
    assert found[0]["answer"] == alone["answer"]


@BOTH_READINGS
def test_old_turns_of_a_long_session_are_named_when_they_leave_the_window(sharedllm, checkpoint, checkpoints):
    questions = "\n".join(tiny_engine.words(150, seed) for seed in range(4))
    result = sharedllm("ask", "--docs", "docs", *SHORT, stdin=questions)
    assert result.exit_code == 0, result.stderr
    how = "read as past context" if checkpoint == checkpoints["injected"] else "searched like documents"
    assert f"older messages did not fit into the window: {how}" in result.stderr

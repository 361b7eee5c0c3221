"""Texts of many files are extracted in processes of their own: the same texts and errors, in the same order."""

import os
import subprocess
import sys

import pytest

from sharedllm_core.errors import DocumentError, InputError
from sharedllm_core.text.documents import extraction, extractor_processes, read_documents
from tests.documents.word_files import paragraph, run, word_file

FILES = 12


@pytest.fixture
def folder(tmp_path):
    """Files of several formats, larger and smaller."""
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(FILES):
        words = f"The code of room {i} is {i * 7919}. " * (1 + 200 * (i % 3 == 0))
        (folder / f"{i:02}.html").write_text(f"<h1>Room {i}</h1><p>{words}</p>")
        (folder / f"{i:02}.txt").write_text(words)
        (folder / f"{i:02}.docx").write_bytes(word_file(paragraph(run(words))))
    return folder


def patched_processes(tmp_path, monkeypatch, body):
    """Have every extracting process read files by `body`, which gets the path and the real function."""
    patch = tmp_path / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import os, pathlib, sys, time\n"
        "real = pathlib.Path.read_bytes\n"
        f"def read_bytes(path):\n    {body}\n    return real(path)\n"
        "pathlib.Path.read_bytes = read_bytes\n"
    )
    monkeypatch.syspath_prepend(str(patch))


@pytest.fixture
def started(monkeypatch):
    """The processes that were started."""
    processes = []
    real = subprocess.Popen

    def start(*args, **kwargs):
        processes.append(real(*args, **kwargs))
        return processes[-1]

    monkeypatch.setattr(extractor_processes.subprocess, "Popen", start)
    return processes


def test_texts_warnings_and_places_are_those_of_one_process(folder):
    (folder / "guessed.txt").write_bytes("Gebühr und Straße, größer".encode("cp1252"))
    alone = read_documents(folder, processes=1)
    assert read_documents(folder, processes=3) == alone
    assert len(alone.documents) == 3 * FILES + 1
    assert alone.warnings


def test_processes_end_with_the_reading(folder, started):
    read_documents(folder, processes=3)
    assert len(started) == 3
    assert all(process.poll() is not None for process in started)


def test_small_and_plain_files_start_no_process(folder, started, monkeypatch):
    monkeypatch.setattr(extraction, "_usable_cores", lambda: 4)
    read_documents(folder)
    (folder / "long.txt").write_text("All of it is text. " * 200_000)
    read_documents(folder)
    assert not started


def test_much_to_parse_is_read_on_the_cores_there_are(folder, started, monkeypatch):
    monkeypatch.setattr(extraction, "_usable_cores", lambda: 2)
    (folder / "long.html").write_text("<p>All of it is text.</p>" * 100_000)
    read_documents(folder)
    assert len(started) == 2


def test_the_first_error_in_the_order_of_the_files_is_raised(folder):
    (folder / "03.docx").write_bytes(b"PK\x03\x04 no archive")
    (folder / "07.docx").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DocumentError, match=r"03\.docx cannot be read"):
        read_documents(folder, processes=3)


def test_unreadable_files_are_skipped_with_their_reasons(folder):
    (folder / "03.docx").write_bytes(b"PK\x03\x04 no archive")
    found = read_documents(folder, processes=3, on_error="skip")
    assert found.skipped == read_documents(folder, processes=1, on_error="skip").skipped
    assert [skipped.path.rpartition("/")[2] for skipped in found.skipped] == ["03.docx"]


def test_a_process_that_crashes_loses_one_file(folder, tmp_path, monkeypatch):
    patched_processes(tmp_path, monkeypatch, "'05.docx' in path.name and os._exit(7)")
    found = read_documents(folder, processes=2, on_error="skip")
    assert [(one.path.rpartition("/")[2], "ended with 7" in one.reason) for one in found.skipped] == [("05.docx", True)]
    assert len(found.documents) == 3 * FILES - 1


def test_what_a_parser_prints_is_no_text(folder, tmp_path, monkeypatch, capfd):
    patched_processes(tmp_path, monkeypatch, "print('parsing', path.name, flush=True)")
    assert read_documents(folder, processes=2) == read_documents(folder, processes=1)
    assert "parsing" not in capfd.readouterr().out


@pytest.mark.parametrize("processes", [1, 3])
def test_progress_counts_files_and_names_the_one_that_is_waited_for(folder, processes):
    steps = []
    read_documents(folder, processes=processes, progress=lambda *step: steps.append(step))
    assert {total for _, total, _ in steps} == {3 * FILES}
    assert list(dict.fromkeys(path for _, _, path in steps)) == [str(path) for path in sorted(folder.iterdir())]
    done = [step[0] for step in steps]
    assert done[0] == 0
    assert done == sorted(done)


def test_progress_comes_while_a_file_takes_long(folder, tmp_path, monkeypatch):
    patched_processes(tmp_path, monkeypatch, "'00.docx' in path.name and time.sleep(1)")
    steps = []
    read_documents(folder, processes=2, progress=lambda *step: steps.append(step))
    waiting = [done for done, _, path in steps if path.endswith("00.docx")]
    assert len(waiting) > 2
    assert waiting[-1] > waiting[0]


def test_an_interrupt_ends_the_processes_at_once(folder, tmp_path, monkeypatch, started):
    patched_processes(tmp_path, monkeypatch, "time.sleep(600)")

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_documents(folder, processes=2, progress=interrupt)
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


def test_a_script_without_a_main_guard_runs_once(folder, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from sharedllm_core.text.documents import read_documents\n"
        f"print(len(read_documents({str(folder)!r}, processes=2).documents))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=True)
    assert (result.stdout, result.stderr) == (f"{3 * FILES}\n", "")


def test_where_no_process_can_be_started_texts_are_extracted_here(folder, monkeypatch):
    def refuse(*_, **__):
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(extractor_processes.subprocess, "Popen", refuse)
    assert len(read_documents(folder, processes=3).documents) == 3 * FILES


@pytest.mark.parametrize("processes", [0, -1])
def test_a_number_of_processes_below_one_is_refused(folder, processes):
    with pytest.raises(InputError, match="processes"):
        read_documents(folder, processes=processes)

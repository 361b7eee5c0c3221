"""The command line in an empty folder, with a tiny checkpoint and a tree cache of its own."""

import pytest
from typer.testing import CliRunner

from sharedllm_core.cli.main import app
from tests import tiny_engine


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return tiny_engine.checkpoints_of_each_reading(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def checkpoint(request, checkpoints):
    """A trained injection; where a test is parametrised with `BOTH_READINGS`, a plain model as well."""
    return checkpoints[getattr(request, "param", "injected")]


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    return tiny_engine.make_checkpoint(tmp_path_factory.mktemp("untrained"), trained=False)


@pytest.fixture(autouse=True)
def folder(checkpoint, tmp_path, monkeypatch):
    """Where commands run: `docs` with three files, and the environment variables of a user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHAREDLLM_MODEL", str(checkpoint))
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SHAREDLLM_DEBUG", "")
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "docs").mkdir()
    for number in range(3):
        (tmp_path / "docs" / f"{number}.txt").write_text(tiny_engine.words(80, seed=number))
    return tmp_path


@pytest.fixture
def sharedllm():
    """Runs a command in this process, as a user would who has no terminal."""

    def run(*arguments, stdin=None):
        return CliRunner().invoke(app, [str(part) for part in arguments], input=stdin, prog_name="sharedllm")

    return run

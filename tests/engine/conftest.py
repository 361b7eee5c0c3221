"""Tiny checkpoints for all tests of the engine: one that injects, one that quotes."""

import pytest

from tests import tiny_engine


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return tiny_engine.checkpoints_of_each_reading(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def checkpoint(request, checkpoints):
    """A trained injection; where a test is parametrised with `BOTH_READINGS`, a plain model as well."""
    return checkpoints[getattr(request, "param", "injected")]


@pytest.fixture
def engine(checkpoint):
    """An engine with an empty cache in memory."""
    return tiny_engine.make_engine(checkpoint)

"""Tiny engines with room for tools, for the tests of both integrations."""

import pytest

from tests import tiny_engine


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("integrations")
    return tiny_engine.checkpoints_of_each_reading(folder, max_position_embeddings=2048)


@pytest.fixture(scope="session")
def checkpoint(request, checkpoints):
    """A trained injection; where a test is parametrised with `BOTH_READINGS`, a plain model as well."""
    return checkpoints[getattr(request, "param", "injected")]


@pytest.fixture(scope="session")
def folder(checkpoint):
    return checkpoint


@pytest.fixture
def engine(folder):
    return tiny_engine.make_engine(folder)

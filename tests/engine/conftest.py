"""One tiny checkpoint for all tests of the engine."""

import pytest

from tests import tiny_engine


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return tiny_engine.make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def engine(checkpoint):
    """An engine with an empty cache in memory."""
    return tiny_engine.make_engine(checkpoint)

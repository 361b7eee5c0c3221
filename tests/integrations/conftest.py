"""A tiny engine for the tests that both integrations share."""

import pytest

from tests import tiny_engine


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tiny_engine.make_checkpoint(tmp_path_factory.mktemp("integrations"), max_position_embeddings=2048)


@pytest.fixture
def engine(folder):
    return tiny_engine.make_engine(folder)

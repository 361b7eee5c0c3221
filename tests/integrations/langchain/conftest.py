"""A tiny engine with room for tools, and chat models on it."""

import pytest

from sharedllm_integrations.langchain import ChatSharedLLM
from tests import tiny_engine


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    return tiny_engine.checkpoints_of_each_reading(tmp_path_factory.mktemp("langchain"), max_position_embeddings=2048)


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


@pytest.fixture
def llm(engine):
    return ChatSharedLLM(engine=engine, max_tokens=12)

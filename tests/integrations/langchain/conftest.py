"""Chat models of LangChain on a tiny engine."""

import pytest

from sharedllm_integrations.langchain import ChatSharedLLM


@pytest.fixture
def llm(engine):
    return ChatSharedLLM(engine=engine, max_tokens=12)

"""Documents of LangChain and LlamaIndex reach models without injection, which quote them."""

import pytest
from langchain_core.documents import Document as LangChainDocument
from llama_index.core import Document as LlamaIndexDocument

from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.llama_index import SharedLLM, SharedLLMQueryEngine
from tests import tiny_engine
from tests.thinking_templates import scripted_engine

TEXT = "The notice period is ninety days."
QUESTION = "What is the notice period?"


@pytest.fixture(scope="module")
def engine():
    return scripted_engine(tiny_engine.CHAT, "Ninety days.")


def test_langchain_quotes_documents(engine):
    message = ChatSharedLLM(engine=engine).invoke(QUESTION, documents=[LangChainDocument(TEXT)])
    assert message.response_metadata["reading"]["quoted_tokens"] > 0
    assert message.response_metadata["evidence"]


def test_llama_index_quotes_documents(engine):
    response = SharedLLM(engine=engine).complete(QUESTION, documents=[LlamaIndexDocument(text=TEXT)])
    assert response.raw["reading"]["quoted_tokens"] > 0


def test_a_query_engine_of_llama_index_quotes_its_documents(engine):
    documents = [LlamaIndexDocument(text=TEXT), LlamaIndexDocument(text="The rent is paid monthly.")]
    response = SharedLLMQueryEngine.from_documents(documents, llm=SharedLLM(engine=engine)).query(QUESTION)
    assert response.response == "Ninety days."
    assert response.source_nodes[0].node.get_content() == TEXT

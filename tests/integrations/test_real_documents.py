"""Both integrations answer from more than 100,000 tokens of real text with a model that was not trained for it."""

from pydoc_data.topics import topics

import pytest
from langchain_core.documents import Document as LangChainDocument
from llama_index.core.schema import Document as LlamaDocument

from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.llama_index import SharedLLM
from tests import real_models, tiny_engine

FACT = "The access code of the boiler room is Quartz-7719."
QUESTION = "What is the access code of the boiler room?"
# The model has 135 million parameters: with more passages about code around it, it misses the fact that it is shown.
QUOTE_TOKENS = 40
TREE_CACHE = tiny_engine.memory_cache()


@pytest.fixture(scope="module")
def texts():
    """Python's language reference by topic, and a note with the fact in its middle."""
    pages = list(topics.items())
    half = len(pages) // 2
    return dict([*pages[:half], ("building", f"Notes on the building. {FACT} The keys are returned."), *pages[half:]])


@pytest.fixture(scope="module")
def settings():
    folder = str(real_models.smollm2_folder())
    return {"model": folder, "tree_cache": TREE_CACHE, "max_tokens": 16, "quote_tokens": QUOTE_TOKENS}


def ask_langchain(settings, texts):
    documents = [LangChainDocument(text, metadata={"source": name}) for name, text in texts.items()]
    message = ChatSharedLLM(**settings).invoke(QUESTION, documents=documents)
    return message.content, message.response_metadata


def ask_llama_index(settings, texts):
    documents = [LlamaDocument(text=text, id_=name) for name, text in texts.items()]
    response = SharedLLM(**settings).complete(QUESTION, documents=documents)
    return response.text, response.raw


ASK = pytest.mark.parametrize("ask", [ask_langchain, ask_llama_index])


@ASK
def test_the_answer_names_what_one_sentence_of_a_hundred_thousand_tokens_says(settings, texts, ask):
    answer, details = ask(settings, texts)
    assert "7719" in answer
    reading = details["reading"]
    assert reading["mode"] == "quoted"
    assert reading["total_tokens"] > 100_000
    assert 0 < reading["quoted_tokens"] <= reading["quote_budget"] == QUOTE_TOKENS
    assert reading["quoted_tokens"] + reading["unread_tokens"] == reading["total_tokens"]
    assert reading["injected_tokens"] == 0
    first = details["evidence"][0]
    assert "building" in first["document_id"]
    assert FACT in texts["building"][first["start"] : first["end"]]


@ASK
def test_without_that_sentence_the_same_text_does_not_give_the_answer(settings, texts, ask):
    answer, details = ask(settings, {name: text for name, text in texts.items() if name != "building"})
    assert details["reading"]["quoted_tokens"] > 0
    assert "7719" not in answer

"""Content blocks: documents with ids of their own, histories of other providers, and errors that say what to give."""

import base64

import pytest
from langchain_core.documents import Document as LangChainDocument
from langchain_core.messages import AIMessage, HumanMessage

from sharedllm_core import InputError
from sharedllm_integrations._shared.conversation import read_conversation
from sharedllm_integrations._shared.prompt_rules import PromptSplitter
from sharedllm_integrations.langchain import evidence_documents
from sharedllm_integrations.langchain.messages import parse_message
from tests import tiny_engine

SECRET, SHOWN, OTHER = (tiny_engine.words(120, seed=seed) for seed in (1, 2, 3))
QUESTION = {"type": "text", "text": "What is the notice period?"}


def plain(text, title="lease.txt"):
    return {"type": "text-plain", "text": text, "mime_type": "text/plain", "title": title}


def read(*blocks, kind=HumanMessage):
    nothing_moves = PromptSplitter(None, "never", 0, {})
    return read_conversation([kind([*blocks]), HumanMessage("And?")], parse_message, nothing_moves)


def test_a_block_named_like_a_document_is_another_document(llm):
    given = [LangChainDocument(SECRET, metadata={"source": "lease.txt"})]
    message = llm.invoke([HumanMessage([plain(SHOWN), QUESTION])], documents=given, num_evidence=20)
    [moved] = message.response_metadata["documents_from_messages"]
    assert moved["documents"] == ["lease.txt (2)"]
    evidence = message.response_metadata["evidence"]
    assert {one["document_id"] for one in evidence} == {"lease.txt", "lease.txt (2)"}
    assert all(one["document_id"] == "lease.txt (2)" for one in evidence if "text" in one)
    for span in evidence_documents(message, given):
        whole = {"lease.txt": SECRET, "lease.txt (2)": SHOWN}[span.metadata["source"]]
        assert whole[span.metadata["start"] : span.metadata["end"]] == span.page_content


def test_blocks_with_one_title_are_documents_of_their_own(llm):
    messages = [HumanMessage([plain(SHOWN), plain(OTHER)]), HumanMessage([plain(SECRET), QUESTION])]
    message = llm.invoke(messages, num_evidence=20)
    moved = message.response_metadata["documents_from_messages"]
    names = [name for one in moved for name in one["documents"]]
    assert names == ["lease.txt", "lease.txt (2)", "lease.txt (3)"]
    assert {span.metadata["source"] for span in evidence_documents(message)} == set(names)


def test_texts_in_prompts_are_named_beside_documents_of_that_name(llm):
    given = [LangChainDocument(SECRET, id="prompt 1")]
    llm = llm.model_copy(update={"documents_from_prompt": "always"})
    message = llm.invoke(f"<context>{SHOWN * 5}</context>\n\nQuestion: What?", documents=given)
    assert message.response_metadata["documents_from_messages"][0]["documents"] == ["prompt 1 (2)"]


def encoded(text, charset="utf-8"):
    return base64.b64encode(text.encode(charset)).decode()


DOCUMENTS = {
    "mime in capitals": {"type": "file", "base64": encoded("größe"), "mime_type": "TEXT/plain; charset=utf-8"},
    "charset": {"type": "file", "base64": encoded("größe", "latin-1"), "mime_type": "text/plain;charset=ISO-8859-1"},
    "YAML": {"type": "file", "base64": encoded("größe"), "mime_type": "application/yaml"},
    "LangChain 0.3": {"type": "file", "source_type": "text", "text": "größe", "mime_type": "text/plain"},
    "Anthropic's": {"type": "document", "source": {"type": "text", "data": "größe", "media_type": "text/plain"}},
    "its blocks": {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "größe"}]}},
    "search result": {
        "type": "search_result",
        "source": "https://example.org",
        "title": "a",
        "content": [{"type": "text", "text": "größe"}],
    },
}


@pytest.mark.parametrize("block", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_documents_of_every_form_are_read(block):
    assert [document.text for document in read(block).documents] == ["größe"]


FAULTS = {
    "document' (text) is neither": {"type": "document", "source": {"type": "text"}},
    "document' is neither": {"type": "document", "source": None},
    "search_result' is neither": {"type": "search_result", "content": None},
    "has as base64 is none": {"type": "file", "base64": "a", "mime_type": "text/plain"},
    "has no 'url'": {"type": "file", "source_type": "url"},
    "(application/pdf) is neither": {"type": "file", "base64": encoded("a"), "mime_type": "application/pdf"},
}


@pytest.mark.parametrize(("fault", "block"), FAULTS.items(), ids=list(FAULTS))
def test_blocks_that_cannot_be_read_are_refused_with_what_to_give(fault, block):
    with pytest.raises(InputError) as refused:
        read(block)
    assert fault in str(refused.value)
    assert "text" in str(refused.value)


ELSEWHERE = [
    {"type": "redacted_thinking", "data": "x"},
    {"type": "thinking", "thinking": "hm"},
    {"type": "reasoning", "reasoning": "hm"},
    {"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "1", "content": []},
    {"type": "server_tool_result", "tool_call_id": "1", "status": "success"},
]


def test_histories_of_other_providers_are_taken():
    said = read(
        *ELSEWHERE, {"type": "refusal", "refusal": "I may not."}, {"type": "text", "text": "Ask."}, kind=AIMessage
    )
    assert said.messages[0]["content"] == "I may not.\n\nAsk."
    assert not said.documents

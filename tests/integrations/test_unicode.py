"""Lone surrogates, which no encoding can write: both integrations read them as U+FFFD, wherever they stand."""

import pytest
from langchain_core.documents import Document as LangChainDocument
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import StructuredTool
from llama_index.core.base.llms.types import ChatMessage, DocumentBlock, TextBlock, ToolCallBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode
from llama_index.core.tools import FunctionTool
from pydantic import Field, create_model

from sharedllm_integrations.langchain import ChatSharedLLM, evidence_documents
from sharedllm_integrations.llama_index import SharedLLM, SharedLLMChatEngine, SharedLLMSynthesizer
from tests import tiny_engine

BROKEN, REPLACED = "a\ud800b", "a\N{REPLACEMENT CHARACTER}b"
WORDS = tiny_engine.words(100)
QUESTION = "What is the notice period?"
STUFFED = "\n\n".join(tiny_engine.words(400, seed=seed) for seed in range(8))


def output_class(text):
    return create_model("Tenant", name=(str, Field(description=text, max_length=3)))


def schema(text):
    properties = {text: {"type": "string", "maxLength": 2}}
    return {"title": "Tenant", "description": text, "type": "object", "properties": properties, "required": [text]}


# ---------------------------------------------------------------------------------------------- LangChain


def langchain_documents(text):
    return [LangChainDocument(f"{text} {WORDS}", id=text, metadata={"source": text, "title": text, text: [text]})]


def langchain_tool(text):
    return StructuredTool.from_function(len, name="look", description=text, args_schema=output_class(text))


def langchain_block(text):
    return {"type": "text-plain", "text": f"{text} {WORDS}", "mime_type": "text/plain", "title": text}


def langchain_tool_results(text):
    call = {"name": "look", "args": {text: [text]}, "id": text}
    result = ToolMessage(f"{text} {WORDS}", tool_call_id=text, name=text, artifact=langchain_documents(text))
    return [HumanMessage(text), AIMessage(text, tool_calls=[call]), result]


LANGCHAIN = {
    "documents": lambda llm, text: llm.invoke(QUESTION, documents=langchain_documents(text)),
    "documents without an id": lambda llm, text: llm.invoke(
        QUESTION, documents=[LangChainDocument(WORDS, metadata={"source": text})]
    ),
    "system prompt": lambda llm, text: llm.invoke([SystemMessage(text), HumanMessage(text)]),
    "content block": lambda llm, text: llm.invoke([HumanMessage([langchain_block(text), QUESTION])]),
    "document in a prompt": lambda llm, text: llm.invoke(f"<context>\n{text} {STUFFED}\n</context>\n{QUESTION}"),
    "tool results": lambda llm, text: llm.invoke(langchain_tool_results(text)),
    "stop string": lambda llm, text: llm.invoke(QUESTION, stop=[text]),
    "tool": lambda llm, text: llm.bind_tools([langchain_tool(text)], tool_choice="any").invoke(QUESTION, max_tokens=99),
    "schema": lambda llm, text: llm.with_structured_output(schema(text), include_raw=True).invoke(QUESTION)["raw"],
    "class": lambda llm, text: llm.with_structured_output(output_class(text), include_raw=True).invoke(QUESTION)["raw"],
}


@pytest.mark.parametrize("rule", ["overflow", "always"])
@pytest.mark.parametrize("call", LANGCHAIN.values(), ids=list(LANGCHAIN))
def test_langchain(engine, call, rule):
    llm = ChatSharedLLM(engine=engine, max_tokens=60, documents_from_prompt=rule, min_document_tokens=20)
    messages = [call(llm, text) for text in (BROKEN, REPLACED)]
    assert messages[0].content == messages[1].content
    evidence = [message.response_metadata.get("evidence") for message in messages]
    assert evidence[0] == evidence[1]
    assert messages[0].model_dump_json()


def test_langchain_evidence_is_found_in_documents(engine):
    documents = langchain_documents(BROKEN)
    message = ChatSharedLLM(engine=engine, max_tokens=12, documents=documents).invoke(QUESTION)
    spans = evidence_documents(message, documents)
    assert {span.metadata["source"] for span in spans} == {REPLACED}


# ---------------------------------------------------------------------------------------------- LlamaIndex


def llama_index_documents(text):
    return [LlamaDocument(text=f"{text} {WORDS}", id_=text, metadata={text: text, "file_name": text})]


def llama_index_tool(text):
    return FunctionTool.from_defaults(fn=len, name="look", description=text, fn_schema=output_class(text))


def llama_index_block(text):
    return DocumentBlock(data=WORDS.encode(), title=text, document_mimetype="text/plain")


def llama_index_tool_results(text):
    call = ToolCallBlock(tool_call_id=text, tool_name="look", tool_kwargs={text: [text]})
    fields = {"tool_call_id": text, "name": text}
    return [
        ChatMessage(role="user", content=text),
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage(role="tool", content=text, additional_kwargs=fields),
    ]


LLAMA_INDEX = {
    "documents": lambda llm, text: llm.complete(QUESTION, documents=llama_index_documents(text)),
    "system prompt": lambda llm, text: llm.chat([ChatMessage(role=role, content=text) for role in ("system", "user")]),
    "content block": lambda llm, text: llm.chat(
        [ChatMessage(role="user", blocks=[llama_index_block(text), TextBlock(text=text)])]
    ),
    "tool results": lambda llm, text: llm.chat(llama_index_tool_results(text)),
    "stop string": lambda llm, text: llm.complete(QUESTION, stop=[text]),
    "tool": lambda llm, text: llm.chat_with_tools(
        [llama_index_tool(text)], user_msg=text, tool_required=True, max_tokens=99
    ),
    "class": lambda llm, text: llm.structured_predict(
        output_class(text), PromptTemplate(f"{text} {QUESTION}"), {"max_tokens": 99}
    ),
}


@pytest.mark.parametrize("call", LLAMA_INDEX.values(), ids=list(LLAMA_INDEX))
def test_llama_index(engine, call):
    llm = SharedLLM(engine=engine, max_tokens=12)
    responses = [call(llm, text) for text in (BROKEN, REPLACED)]
    assert str(responses[0]) == str(responses[1])
    evidence = [(getattr(response, "raw", None) or {}).get("evidence") for response in responses]
    assert evidence[0] == evidence[1]


@pytest.fixture
def nodes():
    """Two nodes of one document, with lone surrogates in text, metadata and ids."""
    source = RelatedNodeInfo(node_id=BROKEN, hash="unknown", metadata={BROKEN: BROKEN})
    texts = [f"{BROKEN} {WORDS}", f"{tiny_engine.words(80, seed=1)} {BROKEN}"]
    made = [
        TextNode(text=text, id_=f"{BROKEN} {number}", metadata={BROKEN: BROKEN}) for number, text in enumerate(texts)
    ]
    for node, other, relationship in zip(
        made, made[::-1], (NodeRelationship.NEXT, NodeRelationship.PREVIOUS), strict=True
    ):
        node.relationships = {NodeRelationship.SOURCE: source, relationship: RelatedNodeInfo(node_id=other.node_id)}
    return [NodeWithScore(node=node) for node in made]


@pytest.mark.parametrize("streaming", [False, True])
def test_nodes_of_llama_index_get_their_evidence(engine, nodes, streaming):
    synthesizer = SharedLLMSynthesizer(SharedLLM(engine=engine, max_tokens=12), streaming=streaming)
    response = synthesizer.synthesize(f"{QUESTION} {BROKEN}", nodes)
    if streaming:
        assert "".join(response.response_gen)
    assert {node.node.node_id for node in response.source_nodes} == {f"{BROKEN} 0", f"{BROKEN} 1"}
    assert any("evidence" in node.node.metadata for node in response.source_nodes)
    assert {span["document_id"] for span in response.metadata["evidence"]} == {REPLACED}


def test_chat_engines_of_llama_index(engine):
    llm = SharedLLM(engine=engine, max_tokens=12)
    chats = [
        SharedLLMChatEngine.from_documents(llama_index_documents(text), llm, system_prompt=text)
        for text in (BROKEN, REPLACED)
    ]
    for question in (BROKEN, QUESTION):
        responses = [chat.chat(question) for chat in chats]
        assert responses[0].response == responses[1].response
        assert any("evidence" in node.node.metadata for node in responses[0].source_nodes)

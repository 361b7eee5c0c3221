"""Documents reach the model from wherever an application puts them, and LangChain sees no text of them."""

import json
import pickle

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.documents import Document as LangChainDocument
from langchain_core.globals import set_llm_cache
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tracers.base import BaseTracer

from sharedllm_core import Document, DocumentError, InputError
from sharedllm_integrations.langchain import ChatSharedLLM, evidence_documents, read_documents
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

MARK = "harbour ledger number ninety"
LONG = "\n\n".join(f"{MARK} {i}. {tiny_engine.words(40, seed=i)}" for i in range(30))
QUESTION = "What is the notice period?"


def past_tokens(message):
    """The tokens of all documents of a request."""
    return message.response_metadata["reading"]["total_tokens"]


def as_langchain():
    return [LangChainDocument(LONG, metadata={"source": "lease.txt"})]


WAYS = {
    "constructor": lambda llm, ask: (
        llm.model_copy(update={"documents": None})
        .__class__(engine=llm.engine, max_tokens=12, documents=as_langchain())
        .invoke(ask)
    ),
    "bind": lambda llm, ask: llm.bind(documents=as_langchain()).invoke(ask),
    "invoke": lambda llm, ask: llm.invoke(ask, documents=as_langchain()),
    "with_documents": lambda llm, ask: llm.with_documents(as_langchain()).invoke(ask),
    "library": lambda llm, ask: llm.invoke(ask, documents=llm.engine.library([Document(LONG, id="lease.txt")])),
}


@BOTH_READINGS
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_every_way_of_giving_documents_gives_the_same_answer(engine, llm, way):
    expected = engine.ask(QUESTION, [Document(LONG, id="lease.txt")], max_new_tokens=12)
    message = way(llm, QUESTION)
    assert message.content == expected.text
    assert past_tokens(message) == expected.usage.past_context_tokens
    assert message.usage_metadata["input_tokens"] == expected.input_tokens
    details = message.usage_metadata["input_token_details"]
    assert details["cache_creation"] + details["cache_read"] == expected.reading.injected_tokens
    spans = evidence_documents(message, as_langchain())
    assert [span.page_content for span in spans] == [one.text for one in expected.evidence]
    assert [span.metadata["score"] for span in spans] == [one.score for one in expected.evidence]
    assert {span.metadata["source"] for span in spans} == {"lease.txt"}


BLOCKS = {
    "text-plain": {"type": "text-plain", "text": LONG, "mime_type": "text/plain", "title": "lease"},
    "file": {"type": "file", "base64": "aGFyYm91ciBsZWRnZXI=", "mime_type": "text/plain"},
    "document": {
        "type": "document",
        "title": "lease",
        "source": {"type": "text", "media_type": "text/plain", "data": LONG},
    },
}


@BOTH_READINGS
@pytest.mark.parametrize("block", BLOCKS.values(), ids=list(BLOCKS))
def test_documents_in_content_blocks_are_read_as_documents(llm, block):
    message = llm.invoke([HumanMessage([block, {"type": "text", "text": QUESTION}])])
    assert past_tokens(message) > 0
    [moved] = message.response_metadata["documents_from_messages"]
    assert moved["from"] == "content blocks"


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_what_is_no_text_is_refused(llm, kind):
    block = {"type": kind, "url": "https://example.org/x", "mime_type": f"{kind}/x"}
    with pytest.raises(InputError, match=f"of type '{kind}' is neither text"):
        llm.invoke([HumanMessage([block, {"type": "text", "text": QUESTION}])])


FENCES = "Context information is below.\n---------------------\n{}\n---------------------\nAnswer the query.\nQuery: {}"
PROMPTS = {
    "stuff, one message": [
        HumanMessage(f"Use the following context.\n\n{LONG}\n\nQuestion: {QUESTION}\nHelpful Answer:")
    ],
    "stuff, system": [SystemMessage(f"Answer from the context.\n\n{LONG}"), HumanMessage(QUESTION)],
    "fenced": [HumanMessage(FENCES.format(LONG, QUESTION))],
    "tags": [HumanMessage(f"<context>\n{LONG}\n</context>\n{QUESTION}")],
    "documents": [HumanMessage(f"<document id=1>\n{LONG}\n</document>\n\n{QUESTION}")],
    "repr": [HumanMessage(f"Answer from: {as_langchain()}\n\nQuestion: {QUESTION}")],
    "tool": [HumanMessage(QUESTION), ToolMessage(f"Found this:\n\n{LONG}", tool_call_id="1")],
}


@pytest.mark.parametrize("messages", PROMPTS.values(), ids=list(PROMPTS))
def test_documents_in_prompts_of_existing_chains_are_read_as_documents(llm, messages):
    message = llm.invoke(messages)
    tokens = llm.engine.tokenizer.count(LONG)
    assert 0.95 * tokens <= past_tokens(message) <= 1.05 * tokens, "all of it, and nothing else"
    assert message.usage_metadata["input_tokens"] - past_tokens(message) < 200
    assert message.response_metadata["documents_from_messages"][0]["from"] == "text"


@BOTH_READINGS
def test_documents_that_look_like_prompts_are_read_in_full(llm):
    rules = "\n----------\n".join(tiny_engine.words(300, seed=i) for i in range(7))
    faq = "\n\n".join(f"Question: {tiny_engine.words(9, seed=i)}\n{tiny_engine.words(200, seed=i)}" for i in range(12))
    for text in (rules, faq):
        message = llm.invoke([SystemMessage(f"Answer from this.\n\n{text}"), HumanMessage(QUESTION)])
        tokens = llm.engine.tokenizer.count(text)
        assert past_tokens(message) >= 0.8 * tokens
        if llm.engine.reading == "injected":
            assert message.usage_metadata["input_tokens"] >= 0.95 * tokens


def test_short_prompts_are_left_alone_and_so_are_long_ones_where_that_is_wanted(llm):
    short = llm.invoke(f"Use this context.\n\n{MARK}\n\nQuestion: {QUESTION}")
    assert past_tokens(short) == 0
    assert "documents_from_messages" not in short.response_metadata
    prompt = f"Use this.\n\n{LONG[:2400]}\n\nQuestion: {QUESTION}"
    assert past_tokens(llm.invoke(prompt)) > 0
    whole = llm.model_copy(update={"documents_from_prompt": False}).invoke(prompt)
    assert past_tokens(whole) == 0


def test_stuffed_documents_in_another_order_are_mostly_known_to_the_cache(llm):
    texts = ["\n\n".join(tiny_engine.words(45, seed=100 * i + j) for j in range(200)) for i in range(4)]

    def asked(texts):
        stuffed = "\n\n".join(texts)
        return llm.invoke(f"Use this.\n\n{stuffed}\n\nQuestion: {QUESTION}").usage_metadata

    first, again = asked(texts), asked(texts[::-1])
    assert first["input_token_details"]["cache_read"] == 0
    details = again["input_token_details"]
    assert details["cache_read"] > 2 * details["cache_creation"]


def test_stuffed_documents_with_titles_are_all_known_in_any_order(llm):
    bodies = ["\n\n".join(tiny_engine.words(45, seed=100 * i + j) for j in range(50)) for i in range(4)]
    texts = [f"# Title {i}\n\n{body}" for i, body in enumerate(bodies)]

    def details(texts):
        stuffed = "\n\n".join(texts)
        answer = llm.invoke(f"Use this.\n\n{stuffed}\n\nQuestion: {QUESTION}")
        return answer.usage_metadata["input_token_details"]

    assert details(texts)["cache_creation"] > 0
    for again in (texts[::-1], texts[1:] + texts[:1]):
        assert details(again)["cache_creation"] == 0


def test_evidence_holds_the_text_of_prompts_and_that_of_documents_where_it_is_wanted(engine, llm):
    stuffed = llm.invoke(f"Use this.\n\n{LONG}\n\nQuestion: {QUESTION}")
    assert all(span.page_content in LONG for span in evidence_documents(stuffed))
    given = llm.invoke(QUESTION, documents=as_langchain())
    with pytest.raises(InputError, match=r"'lease\.txt' is not among the documents"):
        evidence_documents(given)
    wanted = ChatSharedLLM(engine=engine, evidence_text=True, max_tokens=12).invoke(QUESTION, documents=as_langchain())
    assert evidence_documents(wanted) == [
        LangChainDocument(span.page_content, metadata=span.metadata)
        for span in evidence_documents(given, as_langchain())
    ]


def test_documents_given_twice_are_refused(llm):
    with pytest.raises(InputError, match="in one of these places"):
        llm.with_documents(as_langchain()).invoke(QUESTION, documents=as_langchain())


def test_what_is_no_document_is_refused(llm):
    with pytest.raises(DocumentError, match="int is no document"):
        llm.invoke(QUESTION, documents=[7])
    with pytest.raises(DocumentError, match=r"does not exist|no such"):
        llm.with_documents("nowhere/at/all.txt")


@BOTH_READINGS
def test_chains_with_documents_as_objects(llm):
    prompt = ChatPromptTemplate.from_messages([("human", "{docs}\n\nQuestion: {question}")])
    chain = prompt | llm | StrOutputParser()
    assert isinstance(chain.invoke({"docs": as_langchain(), "question": QUESTION}), str)


@BOTH_READINGS
def test_pages_with_one_source_are_documents_of_their_own(llm):
    pages = [LangChainDocument(f"{MARK} {i}", metadata={"source": "a.pdf", "page": i}) for i in range(3)]
    message = llm.invoke(QUESTION, documents=pages)
    spans = evidence_documents(message, pages)
    assert all(span.page_content in f"{MARK} {span.metadata['page']}" for span in spans)
    names = {span.metadata["source"] for span in spans}
    assert names <= {"a.pdf", "a.pdf (2)", "a.pdf (3)"}
    assert len(names) > 1


def test_read_documents_gives_whole_files_with_metadata(tmp_path):
    (tmp_path / "a.txt").write_text(LONG)
    (tmp_path / "b.md").write_text("# B\n")
    read = read_documents(tmp_path)
    assert [document.page_content for document in read] == [LONG, "# B\n"]
    assert read[0].metadata["source"] == read[0].id


# ---------------------------------------------------------------------------------------------- what LangChain sees


class Everything(BaseTracer):
    """Keeps all that a tracer is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def _persist_run(self, run):
        self.told.append(json.dumps(run.model_dump(exclude={"parent_run", "outputs"}), default=repr))


@pytest.mark.parametrize("stream", [False, True, "events"])
def test_no_trace_no_repr_and_no_cache_key_holds_a_documents_text(engine, llm, stream):
    tracer = Everything()
    bound = llm.bind(documents=[Document(MARK, id="a")])
    given = ChatSharedLLM(engine=engine, documents=[Document(MARK, id="a")], max_tokens=3)
    config = {"callbacks": [tracer]}
    for model, more in ((bound, {}), (given, {}), (llm, {"documents": [Document(MARK, id="a")]})):
        if stream == "events":
            list(model.stream_events("what?", config, version="v3", **more))
        elif stream:
            list(model.stream("what?", config, **more))
        else:
            model.invoke("what?", config, **more)
    assert len(tracer.told) == 3
    seen = [*tracer.told, repr(bound), repr(given), str(given.asdict()), given._get_llm_string(), str(bound.kwargs)]
    assert not any(MARK in text for text in seen), "the answer aside, which may say what a document says"
    fingerprint = given.documents.fingerprint
    assert fingerprint in given._get_llm_string()
    assert all(fingerprint in text for text in tracer.told)


@BOTH_READINGS
def test_under_langchains_cache_two_document_sets_have_answers_of_their_own(llm):
    try:
        sets = [[Document(tiny_engine.words(300, seed=seed), id="a")] for seed in range(4)]
        for ways in (lambda one: llm.bind(documents=one), llm.with_documents):
            set_llm_cache(InMemoryCache())  # both ways have one key: the second would be answered from the first
            answers = [ways(one).invoke(QUESTION).content for one in sets]
            assert answers == [llm.engine.ask(QUESTION, one, max_new_tokens=12).text for one in sets]
            assert len(set(answers)) > 1
            again = [ways(one).invoke(QUESTION) for one in sets]
            assert [message.content for message in again] == answers
        llm.engine.ask = llm.engine.ask_batch = None  # from here on, nothing but the cache can answer
        assert llm.bind(documents=sets[0]).invoke(QUESTION).content == answers[0]
    finally:
        set_llm_cache(None)


def test_a_saved_model_holds_no_text_and_asks_for_its_documents_again():
    made = ChatSharedLLM(max_tokens=12, stop=["x"], temperature=0.3)
    assert ChatSharedLLM.model_validate_json(made.model_dump_json()) == made
    with_documents = ChatSharedLLM(max_tokens=12, documents=as_langchain())
    saved = with_documents.model_dump_json()
    assert MARK not in saved
    with pytest.raises(ValueError, match=r"saved without the text of its documents .* give them again"):
        ChatSharedLLM.model_validate_json(saved)
    assert ChatSharedLLM(**json.loads(saved) | {"documents": as_langchain()}) == with_documents


@BOTH_READINGS
def test_a_pickled_model_keeps_its_documents(llm):
    made = ChatSharedLLM(max_tokens=12, documents=as_langchain(), tree_cache=None)
    again = pickle.loads(pickle.dumps(made))  # noqa: S301
    assert again == made
    again.engine = llm.engine
    assert again.invoke(QUESTION).content == llm.invoke(QUESTION, documents=as_langchain()).content

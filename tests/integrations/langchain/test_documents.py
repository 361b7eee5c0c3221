"""Documents reach the model from wherever an application puts them, and LangChain sees no text of them."""

import json
import pickle

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.documents import Document as LangChainDocument
from langchain_core.exceptions import ContextOverflowError
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tracers.base import BaseTracer

from sharedllm_core import Document, DocumentError, InputError
from sharedllm_integrations.langchain import ChatSharedLLM, evidence_documents, read_documents
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

MARK = "harbour ledger number ninety"
LONG = "\n\n".join(f"{MARK} {i}. {tiny_engine.words(40, seed=i)}" for i in range(90))
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


RULED = "Context information is below.\n---------------------\n{}\n---------------------\nAnswer the query.\nQuery: {}"
MARKED = {
    "LlamaIndex's lines": [HumanMessage(RULED.format(LONG, QUESTION))],
    "context": [HumanMessage(f"Context:\n<context>\n{LONG}\n</context>\n{QUESTION}")],
    "documents": [HumanMessage(f"<documents><document id=1>\n{LONG}\n</document></documents>\n\n{QUESTION}")],
    "a list of Documents": [HumanMessage(f"Answer from: {as_langchain()}\n\nQuestion: {QUESTION}")],
    "system": [SystemMessage(f"Answer from this.\n<context>{LONG}</context>"), HumanMessage(QUESTION)],
    "tool": [
        HumanMessage(QUESTION),
        AIMessage("", tool_calls=[{"id": "1", "name": "find", "args": {}}]),
        ToolMessage(f"Found this:\n\n{LONG}", tool_call_id="1", artifact=as_langchain()),
    ],
}
TEXT_LAST = f"{QUESTION}\n\n{LONG}"
TEXT_FIRST = f"{LONG}\n\n{QUESTION}"


@BOTH_READINGS
@pytest.mark.parametrize("messages", MARKED.values(), ids=list(MARKED))
def test_marked_documents_that_do_not_fit_are_read_as_documents(llm, messages):
    message = llm.invoke(messages)
    tokens = llm.engine.tokenizer.count(LONG)
    assert 0.95 * tokens <= past_tokens(message) <= 1.05 * tokens, "all of it, and nothing else"
    assert message.response_metadata["documents_from_messages"][-1]["from"] == "text"
    if llm.engine.reading == "injected":
        assert message.usage_metadata["input_tokens"] - past_tokens(message) < 200


@BOTH_READINGS
@pytest.mark.parametrize("prompt", [TEXT_FIRST, TEXT_LAST], ids=["text first", "text last"])
def test_the_middle_of_a_text_that_does_not_fit_is_read_as_documents(llm, prompt):
    message = llm.invoke(prompt)
    tokens = llm.engine.tokenizer.count(LONG)
    assert 0.3 * tokens < past_tokens(message) < tokens - llm.engine.window_tokens / 2


def test_a_system_message_that_cannot_fit_says_how_to_mark_its_documents(llm):
    with pytest.raises(ContextOverflowError, match="between <context> and </context>"):
        llm.invoke([SystemMessage(f"Answer from the context.\n\n{LONG}"), HumanMessage(QUESTION)])


def test_what_fits_stays_where_it_is(llm):
    short = LONG[:2400]
    for prompt in (f"<context>{short}</context>\n{QUESTION}", f"{short}\n\n{QUESTION}"):
        message = llm.invoke(prompt)
        assert past_tokens(message) == 0
        assert "documents_from_messages" not in message.response_metadata
    always = llm.model_copy(update={"documents_from_prompt": "always"})
    assert past_tokens(always.invoke(f"<context>{short}</context>\n{QUESTION}")) > 0
    with pytest.raises(ContextOverflowError):
        llm.model_copy(update={"documents_from_prompt": "never"}).invoke(TEXT_FIRST)


@pytest.mark.parametrize("rule", ["overflow", "always"])
def test_trees_of_a_prompts_text_are_shared_when_the_order_or_the_question_changes(llm, rule):
    texts = ["\n\n".join(tiny_engine.words(45, seed=200 * i + j) for j in range(200)) for i in range(4)]
    llm = llm.model_copy(update={"documents_from_prompt": rule})

    def ask(texts, question):
        details = llm.invoke("\n\n".join([*texts, question])).usage_metadata["input_token_details"]
        return details, llm.engine.cache.stats()["memory"].entries

    _, trees = ask(texts, QUESTION)
    details, trees_of_both_orders = ask(texts[::-1], QUESTION)
    assert details["cache_read"] > 10 * details["cache_creation"]
    # Another question retains other nodes of the same trees.
    _, trees_of_both_questions = ask(texts[::-1], "Who pays the deposit, and when?")
    assert trees < trees_of_both_orders < 1.2 * trees
    assert trees_of_both_questions == trees_of_both_orders


def test_marked_documents_are_all_known_to_the_cache_in_any_order(llm):
    texts = ["\n\n".join(tiny_engine.words(45, seed=100 * i + j) for j in range(50)) for i in range(4)]

    def details(texts):
        marked = "\n".join(f"<document>{text}</document>" for text in texts)
        return llm.invoke(f"<documents>{marked}</documents>\n{QUESTION}").usage_metadata["input_token_details"]

    assert details(texts)["cache_creation"] > 0
    for again in (texts[::-1], texts[1:] + texts[:1]):
        assert details(again)["cache_creation"] == 0


def test_evidence_holds_the_text_of_prompts_and_that_of_documents_where_it_is_wanted(engine, llm):
    stuffed = llm.invoke(TEXT_FIRST)
    assert evidence_documents(stuffed)
    assert all(span.page_content in LONG for span in evidence_documents(stuffed))
    given = llm.invoke(QUESTION, documents=as_langchain())
    with pytest.raises(InputError, match=r"'lease\.txt' is not among the documents"):
        evidence_documents(given)
    wanted = ChatSharedLLM(engine=engine, evidence_text=True, max_tokens=12).invoke(QUESTION, documents=as_langchain())
    assert evidence_documents(wanted) == [
        LangChainDocument(span.page_content, metadata=span.metadata)
        for span in evidence_documents(given, as_langchain())
    ]


@BOTH_READINGS
def test_evidence_names_no_text_of_system_messages_and_earlier_turns(engine):
    llm = ChatSharedLLM(engine=engine, evidence_text=True, max_tokens=4, num_evidence=50)
    system = SystemMessage(f"Obey.\n<context>{LONG}</context>")
    history = [kind(tiny_engine.words(200, seed=seed)) for seed in range(20) for kind in (HumanMessage, AIMessage)]
    assert llm.invoke([system, HumanMessage(QUESTION)]).response_metadata["evidence"] == []
    message = llm.invoke([*history, HumanMessage(QUESTION)], documents=[Document(LONG, id="lease")])
    assert message.response_metadata["turns_read_as_documents"] > 0
    assert {span["document_id"] for span in message.response_metadata["evidence"]} == {"lease"}


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

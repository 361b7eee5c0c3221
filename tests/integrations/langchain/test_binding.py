"""What is bound to a `ChatSharedLLM` stays bound, whatever LangChain makes of it."""

import pytest
from langchain.agents import create_agent
from langchain_core.load import dumpd
from langchain_core.messages import HumanMessage
from pydantic import BaseModel, Field

from sharedllm_core import Document, DocumentError, InputError
from sharedllm_integrations.langchain import ChatSharedLLM, DocumentSet
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

MARK = "harbour ledger number ninety"
TEXT = f"{MARK}. {tiny_engine.words(300)}"
QUESTION = "What is the notice period?"


class Lease(BaseModel):
    """A lease."""

    tenant: str
    months: int = Field(ge=1, le=120)


def now() -> str:
    """What time it is."""
    return "noon"


def set_of(text=TEXT):
    return [Document(text, id="lease.txt")]


def past_tokens(message):
    """The tokens of all documents of a request."""
    return message.response_metadata["reading"]["total_tokens"]


ORDERS = {
    "documents, tools": lambda llm: llm.bind(documents=set_of()).bind_tools([now]),
    "tools, documents": lambda llm: llm.bind_tools([now]).bind(documents=set_of()),
    "other things between": lambda llm: llm.bind(documents=set_of()).bind(seed=1).bind_tools([now]),
    "config": lambda llm: llm.bind(documents=set_of()).with_config(tags=["a"]).bind_tools([now]),
    "config first": lambda llm: llm.with_config(tags=["a"]).bind(documents=set_of()).bind_tools([now]),
    "listeners first": lambda llm: llm.with_listeners(on_start=print).bind(documents=set_of()).bind_tools([now]),
    "retry": lambda llm: llm.bind(seed=1).with_retry().bind(documents=set_of()),
}


@BOTH_READINGS
@pytest.mark.parametrize("bound", ORDERS.values(), ids=list(ORDERS))
async def test_bound_documents_are_read_in_whatever_order_things_are_bound(llm, bound):
    expected = past_tokens(llm.invoke(QUESTION, documents=set_of()))
    made = bound(llm)
    assert past_tokens(made.invoke(QUESTION)) == expected > 0
    assert past_tokens(await made.ainvoke(QUESTION)) == expected


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output_reads_what_is_bound_and_keeps_its_settings(llm, method):
    expected = past_tokens(llm.invoke(QUESTION, documents=set_of()))
    bound = llm.bind(documents=set_of(), max_tokens=90, temperature=40.0, seed=3)
    found = bound.with_structured_output(Lease, method=method, include_raw=True).invoke(QUESTION)
    assert past_tokens(found["raw"]) == expected
    assert isinstance(found["parsed"], Lease)
    again = llm.model_copy(update={"max_tokens": 90, "temperature": 40.0, "seed": 3}).with_documents(set_of())
    assert again.with_structured_output(Lease, method=method).invoke(QUESTION) == found["parsed"]


def test_a_config_stays_where_tools_are_bound(llm):
    assert llm.with_config(tags=["a"]).bind_tools([now]).config["tags"] == ["a"]


@BOTH_READINGS
def test_agents_read_the_documents_of_their_model(llm):
    agent = create_agent(llm.bind(documents=set_of()), tools=[now])
    assert past_tokens(agent.invoke({"messages": [("user", QUESTION)]})["messages"][1]) > 0


TWICE = {
    "bind, invoke": lambda llm: llm.bind(documents=set_of()).invoke(QUESTION, documents=set_of("b")),
    "bind, stream": lambda llm: list(llm.bind(documents=set_of()).stream(QUESTION, documents=set_of("b"))),
    "bind, batch": lambda llm: llm.bind(documents=set_of()).batch([QUESTION] * 2, documents=set_of("b")),
    "bind, bind": lambda llm: llm.bind(documents=set_of()).bind(documents=set_of("b")),
    "tools between": lambda llm: llm.bind(documents=set_of()).bind_tools([now]).bind(documents=set_of("b")),
    "with_documents, bind": lambda llm: llm.with_documents(set_of()).bind(documents=set_of("b")),
    "around a retry": lambda llm: llm.bind(seed=1).with_retry().bind(documents=set_of()).bind(documents=set_of("b")),
}


@pytest.mark.parametrize("twice", TWICE.values(), ids=list(TWICE))
def test_documents_bound_and_given_again_are_refused(llm, twice):
    with pytest.raises(InputError, match="in one of these places"):
        twice(llm)


def test_with_documents_of_none_says_what_to_give(llm):
    with pytest.raises(DocumentError, match="documents=None are no documents; give paths"):
        llm.with_documents(None)


def test_no_binding_shows_the_text_of_documents(llm):
    made = [order(llm) for order in ORDERS.values()]
    made += [llm.bind(stop=["x"]).bind(documents=set_of()), llm.bind(documents=set_of()).with_structured_output(Lease)]
    made += [llm.with_retry().bind(documents=DocumentSet(set_of()))]
    for one in made:
        assert MARK not in repr(one)
        assert MARK not in str(dumpd(one))


def test_a_binding_of_documents_that_are_not_there_can_be_shown(llm):
    bound = llm.bind(documents="nowhere.txt")
    for one in (bound, bound.bind_tools([now]), llm.with_retry().bind(documents=DocumentSet("nowhere.txt"))):
        assert "nowhere.txt" not in repr(one), "a path could be a text"
        assert "nowhere.txt" not in str(dumpd(one))
    assert "cannot be read" in repr(DocumentSet("nowhere.txt"))
    with pytest.raises(DocumentError, match=r"nowhere\.txt"):
        bound.invoke(QUESTION)


def test_strings_that_end_answers_may_be_one_string(llm):
    whole = llm.invoke(QUESTION, max_tokens=60).content
    stop = whole[10:16]
    expected = whole[: whole.index(stop)]
    assert llm.invoke(QUESTION, max_tokens=60, stop=stop).content == expected
    assert llm.bind(stop=stop).invoke(QUESTION, max_tokens=60).content == expected
    assert ChatSharedLLM(engine=llm.engine, max_tokens=60, stop=stop).invoke(QUESTION).content == expected
    assert llm._get_ls_params(stop=stop)["ls_stop"] == [stop]


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_strings_that_end_answers_end_no_structured_output(llm, method):
    stops = ["tenant", '"', "}", "a", "e"]
    for model in (llm.model_copy(update={"stop": stops, "max_tokens": 90}), llm.bind(stop=stops, max_tokens=90)):
        assert isinstance(model.with_structured_output(Lease, method=method).invoke(QUESTION), Lease)


def test_structured_output_of_a_model_with_tools_calls_none(llm):
    with_tools = llm.bind_tools([now], tool_choice="any").bind(max_tokens=90)
    assert isinstance(with_tools.with_structured_output(Lease).invoke([HumanMessage(QUESTION)]), Lease)

"""Prompts of existing LangChain applications that fit the window: the model gets every word of them as running text.

Where a conversation does not fit, older turns become past context: together with the running text they are the whole.
"""

from dataclasses import dataclass, field

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_classic.agents import AgentExecutor, create_react_agent
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import PydanticOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from sharedllm_core.engine import answering
from sharedllm_core.engine.answering import Answering
from sharedllm_integrations.langchain import ChatSharedLLM
from tests import tiny_engine
from tests.scripted import writing_answers

TURNS = 63
REACT = """Answer the following questions as best you can. You have access to the following tools:

{tools}

Use the following format:

Question: the input question you must answer
Thought: you should always think about what to do
Action: the action to take, should be one of [{tool_names}]
Action Input: the input to the action
Observation: the result of the action
... (this Thought/Action/Action Input/Observation can repeat N times)
Thought: I now know the final answer
Final Answer: the final answer to the original input question

Begin!

Question: {input}
Thought:{agent_scratchpad}"""
CONVERSATION = """The following is a friendly conversation between a human and an AI. If the AI does not know the answer
to a question, it truthfully says it does not know.

Current conversation:
{history}
Human: {input}
AI:"""
SUMMARY = """Your sole task is to extract the most important context from the conversation below.
Respond ONLY with the extracted context.

<messages>
Messages to summarize:
{messages}
</messages>"""


@dataclass
class Calls:
    """What the model got in each call: the running text, passages included, and the text of the documents."""

    texts: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)


@pytest.fixture
def engine(checkpoints):
    """A model that quotes, with a window of 2,048 tokens."""
    return tiny_engine.make_engine(checkpoints["quoted"])


@pytest.fixture
def calls(monkeypatch):
    seen = Calls()
    prepare, answer_rows = Answering.prepare, answering.answer_rows

    def seen_prepare(self, *args):
        prepared = prepare(self, *args)
        libraries = [library for library in prepared.libraries if library is not None]
        seen.documents += ["\n\n".join(document.text for document in library) for library in libraries] or [""]
        seen.moved += [len(prompt.moved) for prompt in prepared.prompts]
        return prepared

    def seen_rows(model, tokenizer, prompts, *args):
        seen.texts += [tokenizer.decode(ids, special=True) for ids in prompts]
        return answer_rows(model, tokenizer, prompts, *args)

    monkeypatch.setattr(Answering, "prepare", seen_prepare)
    monkeypatch.setattr(answering, "answer_rows", seen_rows)
    return seen


def chat(engine, **options):
    return ChatSharedLLM(engine=engine, max_tokens=40, **options)


def assert_in_order(parts, text):
    """Assert that a text has all parts, each after those before it."""
    place = 0
    for part in parts:
        assert part in text[place:], part
        place = text.index(part, place) + len(part)


def assert_nothing_moved(calls):
    assert calls.documents == [""] * len(calls.texts)
    assert calls.moved == [0] * len(calls.texts)


@tool
def find_clause(name: str) -> str:
    """Find a clause of the lease by its name."""
    return f"{name}: {tiny_engine.words(120, seed=9)}"


def test_a_react_scratchpad_keeps_format_question_and_observations(engine, calls):
    prompt = PromptTemplate.from_template(REACT)
    agent = create_react_agent(chat(engine), [find_clause], prompt)
    first = " I must look.\nAction: find_clause\nAction Input: notice"
    last = " I now know.\nFinal Answer: ninety days"
    with writing_answers(engine, (first,), (last,)):
        done = AgentExecutor(agent=agent, tools=[find_clause]).invoke({"input": "What is the notice period?"})
    assert done["output"] == "ninety days"
    assert len(calls.texts) == 2
    whole = prompt.format(
        tools="find_clause(name: str) -> str - Find a clause of the lease by its name.",
        tool_names="find_clause",
        input="What is the notice period?",
        agent_scratchpad="",
    )
    assert whole in calls.texts[0]
    observed = find_clause.invoke("notice")
    assert f"{whole}{first}\nObservation: {observed}\nThought: " in calls.texts[1]
    assert_nothing_moved(calls)


def test_a_history_of_human_and_ai_in_one_string_stays_whole(engine, calls):
    history = "\n".join(
        f"Human: What of clause {number}?\nAI: {tiny_engine.words(18, seed=number)}" for number in range(20)
    )
    prompt = PromptTemplate.from_template(CONVERSATION)
    (prompt | chat(engine)).invoke({"history": history, "input": "And which clause came first?"})
    (text,) = calls.texts
    assert prompt.format(history=history, input="And which clause came first?") in text
    assert_nothing_moved(calls)


def test_format_instructions_after_a_long_text_stay_in_the_window(engine, calls):
    class Lease(BaseModel):
        """A lease."""

        tenant: str = Field(description="who rents")
        days: int = Field(description="the notice period")

    instructions = PydanticOutputParser(pydantic_object=Lease).get_format_instructions()
    prompt = PromptTemplate.from_template("Extract the lease.\n\n{text}\n\n{instructions}\n\nWhich lease is it?\n")
    values = {"text": tiny_engine.words(700), "instructions": instructions}
    (prompt | chat(engine)).invoke(values)
    (text,) = calls.texts
    assert prompt.format(**values) in text
    assert_nothing_moved(calls)


def _with_history(engine, history):
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer as a notary."), MessagesPlaceholder("history"), ("human", "{question}")]
    )
    return RunnableWithMessageHistory(
        prompt | chat(engine),
        lambda session_id: history,
        input_messages_key="question",
        history_messages_key="history",
    )


def _ask_after_turns(engine, turns):
    history = InMemoryChatMessageHistory()
    for asked, said in turns:
        history.add_messages([HumanMessage(asked), AIMessage(said)])
    config = {"configurable": {"session_id": "one"}}
    with writing_answers(engine, ("The first.",)):
        message = _with_history(engine, history).invoke({"question": "Which clause came last?"}, config=config)
    assert [one.content for one in history.messages[-2:]] == ["Which clause came last?", "The first."]
    return message


def test_a_message_history_of_63_turns_that_fits_stays_whole_and_in_order(engine, calls):
    turns = [(f"clause {number}?", f"rent {number}.") for number in range(TURNS)]
    message = _ask_after_turns(engine, turns)
    (text,) = calls.texts
    in_turns = [part for turn in turns for part in turn]
    assert_in_order(["<|system|>Answer as a notary.", *in_turns, "<|user|>Which clause came last?<|end|>"], text)
    assert_nothing_moved(calls)
    assert "turns_read_as_documents" not in message.response_metadata


def test_of_a_message_history_of_63_turns_that_does_not_fit_nothing_is_lost(engine, calls):
    turns = [(f"clause {number}?", f"Of {number}: {tiny_engine.words(45, seed=number)}") for number in range(TURNS)]
    _ask_after_turns(engine, turns)
    (text,) = calls.texts
    assert "<|system|>Answer as a notary.<|end|>" in text
    assert text.endswith("Which clause came last?<|end|><|assistant|>")
    assert turns[-1][1] in text, "the newest turn stays"
    whole = f"{calls.documents[0]}\n{text}"
    missing = [part for turn in turns for part in turn if part not in whole]
    assert not missing
    assert turns[0][1] in calls.documents[0]


def test_summarization_gets_its_instructions_and_the_messages_and_the_agent_gets_the_summary(engine, calls):
    llm = chat(engine)
    middleware = SummarizationMiddleware(
        model=llm, trigger=("messages", 6), keep=("messages", 2), summary_prompt=SUMMARY
    )
    agent = create_agent(llm, system_prompt="Answer as a notary.", middleware=[middleware])
    turns = [(f"What of clause {number}?", tiny_engine.words(40, seed=number)) for number in range(5)]
    messages = [message for asked, said in turns for message in (HumanMessage(asked), AIMessage(said))]
    with writing_answers(engine, ("The tenant asked for clauses.",), ("The first.",)):
        done = agent.invoke({"messages": [*messages, HumanMessage("Which clause came last?")]})
    assert done["messages"][-1].text == "The first."
    summarized, answered = calls.texts
    old = [message.text for message in messages[:-1]]  # the last answer stays beside the question
    instructions = SUMMARY.split("{messages}", maxsplit=1)[0]
    assert_in_order([instructions, *old, "</messages>"], summarized)
    assert_in_order(
        ["Answer as a notary.", "The tenant asked for clauses.", turns[-1][1], "Which clause came last?"], answered
    )
    assert_nothing_moved(calls)

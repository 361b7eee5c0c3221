"""`ChatSharedLLM` as LangChain calls it: streams, batches, async, tools, structured output, errors."""

import asyncio
import json
import re
import subprocess
import sys
import time
from statistics import quantiles
from typing import TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.chat_models import base, init_chat_model
from langchain_core.callbacks import BaseCallbackHandler, get_usage_metadata_callback
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
    trim_messages,
)
from langchain_core.messages.content import Citation
from langchain_core.rate_limiters import InMemoryRateLimiter
from pydantic import BaseModel, Field, ValidationError

from sharedllm_core import Document, InputError, SharedLLMEngine
from sharedllm_integrations.langchain import ChatSharedLLM
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

QUESTION = "What is the notice period?"


class Lease(BaseModel):
    """A lease."""

    tenant: str
    months: int = Field(ge=1, le=120)
    kind: str | None = None


class LeaseDict(TypedDict):
    """A lease."""

    tenant: str
    months: int


def look_up(clause: str) -> str:
    """Find a clause."""
    return f"Clause {clause}: ninety days."


def now() -> str:
    """What time it is."""
    return "noon"


def test_making_a_model_loads_no_weights(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("weights are loaded")

    monkeypatch.setattr(SharedLLMEngine, "from_pretrained", refuse)
    made = ChatSharedLLM(documents=tiny_engine.documents(1), max_tokens=12)
    for one in (made, made.bind_tools([now]), ChatSharedLLM(model="nowhere").with_structured_output(Lease)):
        assert repr(one)
    assert made._identifying_params["documents"]
    with pytest.raises(AssertionError, match="weights are loaded"):
        ChatSharedLLM(model="first use").invoke(QUESTION)


def test_the_profile_claims_tools_for_models_whose_template_takes_them(engine):
    profile = ChatSharedLLM(engine=engine).profile
    assert (profile["structured_output"], profile["tool_choice"]) == (True, True), "by grammar, with any model"
    assert not profile["tool_calling"]
    engine.tokenizer.tokenizer.chat_template = f"{{% if tools %}}{{{{ tools }}}}{{% endif %}}{tiny_engine.CHAT}"
    assert ChatSharedLLM(engine=engine).profile["tool_calling"]
    for name in (None, "reader"):
        packaged = ChatSharedLLM(model=name)
        assert (packaged.profile["tool_calling"], packaged.profile["name"]) == (False, "reader")


def test_a_model_with_an_engine_reports_the_engines_name_everywhere(engine):
    llm = ChatSharedLLM(engine=engine, model="reader", max_tokens=12)
    name = engine.model_name
    assert name == "model"
    with get_usage_metadata_callback() as usage:
        message = llm.invoke(QUESTION)
        chunks = list(llm.stream(QUESTION))
    assert set(usage.usage_metadata) == {name}
    assert message.response_metadata["model_name"] == sum(chunks[1:], chunks[0]).response_metadata["model_name"] == name
    assert llm.generate([[HumanMessage(QUESTION)]]).llm_output["model_name"] == name
    assert llm._get_ls_params()["ls_model_name"] == llm.profile["name"] == llm._identifying_params["model"] == name
    assert llm.profile["max_input_tokens"] == engine.context_tokens != ChatSharedLLM(model="reader").context_tokens()
    assert not llm.profile["image_inputs"]


def test_the_line_of_the_guide_lets_init_chat_model_make_the_model(monkeypatch):
    guide = (tiny_engine.ROOT / "docs/guides/langchain.md").read_text()
    [line] = re.findall(r"^_BUILTIN_PROVIDERS\[.*$", guide, re.MULTILINE)
    monkeypatch.setattr(base, "_BUILTIN_PROVIDERS", dict(base._BUILTIN_PROVIDERS))
    with pytest.raises(ValueError, match="Unable to infer model provider"):
        init_chat_model("sharedllm:reader")
    exec(line, {"_BUILTIN_PROVIDERS": base._BUILTIN_PROVIDERS})  # noqa: S102
    made = init_chat_model("sharedllm:reader", temperature=0, max_tokens=12)
    assert made == ChatSharedLLM(model="reader", temperature=0, max_tokens=12)
    assert init_chat_model("organization/name", model_provider="sharedllm").model == "organization/name"


# ---------------------------------------------------------------------------------------------- streams


@BOTH_READINGS
def test_a_stream_is_the_answer_and_says_its_usage_once(llm):
    whole = llm.invoke(QUESTION, documents=tiny_engine.documents(2))
    chunks = list(llm.stream(QUESTION, documents=tiny_engine.documents(2)))
    assert "".join(chunk.content for chunk in chunks) == whole.content
    assert [chunk.usage_metadata is not None for chunk in chunks].count(True) == 1
    joined = sum(chunks[1:], chunks[0])
    assert joined.response_metadata["model_name"] == llm.engine.model_name in ("model", "plain"), "the engine's folder"
    assert joined.response_metadata["evidence"] == whole.response_metadata["evidence"]
    assert joined.usage_metadata["output_tokens"] == whole.usage_metadata["output_tokens"]


def test_streamed_tool_calls_have_an_index_and_fit(llm):
    tools = llm.bind_tools([look_up, now], tool_choice="any")
    chunks = list(tools.stream(QUESTION, max_tokens=150, temperature=30.0, seed=2))
    found = [chunk for chunk in chunks if chunk.tool_call_chunks]
    assert [call["index"] for chunk in found for call in chunk.tool_call_chunks] == list(
        range(sum(len(chunk.tool_call_chunks) for chunk in found))
    )
    message = sum(chunks[1:], chunks[0])
    assert message.tool_calls
    assert message.response_metadata["finish_reason"] == "tool_calls"


def test_an_answer_that_is_cut_off_has_finish_reason_length(llm):
    generation = llm.generate([[HumanMessage(QUESTION)]], max_tokens=3).generations[0][0]
    assert generation.generation_info["finish_reason"] == "length"
    assert generation.message.response_metadata["finish_reason"] == "length"
    *_, last = llm.stream(QUESTION, max_tokens=3)
    assert last.response_metadata["finish_reason"] == "length"


def test_a_call_or_an_object_that_is_completed_early_fits_and_has_finish_reason_length(llm):
    options = {"max_tokens": 60, "temperature": 30.0, "seed": 0}
    called = llm.bind_tools([look_up], tool_choice="any").invoke(QUESTION, **options)
    assert called.tool_calls
    assert called.response_metadata["finish_reason"] == "length"
    limited = llm.model_copy(update=options)
    found = limited.with_structured_output(Lease, include_raw=True).invoke(QUESTION)
    assert isinstance(found["parsed"], Lease)
    assert found["raw"].response_metadata["finish_reason"] == "length"


@BOTH_READINGS
def test_leaving_a_stream_stops_the_model(llm):
    stream = llm.stream(QUESTION, max_tokens=500)
    next(stream)
    stream.close()
    began = time.monotonic()
    llm.invoke(QUESTION, max_tokens=1)
    assert time.monotonic() - began < 5, "the next question waits for nobody"


@BOTH_READINGS
async def test_events_of_both_versions_come(llm):
    events = [event async for event in llm.astream_events(QUESTION, version="v2")]
    assert [event["event"] for event in events if event["event"] != "on_chat_model_stream"] == [
        "on_chat_model_start",
        "on_chat_model_end",
    ]
    stream = await llm.astream_events(QUESTION, version="v3")
    assert (await stream.output).text == llm.invoke(QUESTION).content


# ---------------------------------------------------------------------------------------------- batches and async


@BOTH_READINGS
def test_a_batch_is_decoded_together_and_keeps_its_order(llm, rows_of_steps):
    questions = [f"{QUESTION} {word}" for word in tiny_engine.WORDS[:6]]
    expected = [llm.invoke(question).content for question in questions]
    assert [message.content for message in llm.batch(questions)] == expected
    assert max(rows_of_steps) >= 3
    result = llm.generate([[HumanMessage(question)] for question in questions])
    assert [generation[0].text for generation in result.generations] == expected


@BOTH_READINGS
async def test_an_async_batch_does_too(llm, rows_of_steps):
    questions = [f"{QUESTION} {word}" for word in tiny_engine.WORDS[:6]]
    expected = [llm.invoke(question).content for question in questions]
    assert [message.content for message in await llm.abatch(questions)] == expected
    assert max(rows_of_steps) >= 3


@BOTH_READINGS
def test_one_bad_question_of_a_batch_spoils_no_other(llm):
    model = llm.model_copy(update={"documents_from_prompt": "never"})
    results = model.batch([QUESTION, "word " * 3000, QUESTION], return_exceptions=True)
    assert isinstance(results[1], ContextOverflowError)
    assert results[0].content == results[2].content == llm.invoke(QUESTION).content


async def test_concurrent_calls_keep_the_event_loop_free_and_their_answers_apart(llm):
    sets = [[Document(tiny_engine.words(800, seed=seed), id="a")] for seed in range(8)]
    expected = [llm.engine.ask(QUESTION, one, max_new_tokens=12).text for one in sets]
    lags = []

    async def ticking():
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            lags.append(time.perf_counter() - began - 0.01)

    async def streamed(one):
        return "".join([chunk.content async for chunk in llm.astream(QUESTION, documents=one)])

    async def invoked(one):
        return (await llm.ainvoke(QUESTION, documents=one)).content

    ticks = asyncio.create_task(ticking())
    answers = await asyncio.gather(*(invoked(one) for one in sets), *(streamed(one) for one in sets))
    ticks.cancel()
    assert answers == expected * 2
    assert len(lags) > 10, "the loop went on while the model ran"
    assert quantiles(lags, n=10)[8] < 0.2, "the loop stood still, though others may use the processor"


@BOTH_READINGS
async def test_a_cancelled_call_stops_the_model(llm):
    task = asyncio.create_task(llm.ainvoke(QUESTION, max_tokens=1500))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await asyncio.wait_for(llm.ainvoke(QUESTION, max_tokens=1), 10)).content is not None


async def test_calls_that_are_given_up_spoil_no_other(llm):
    expected = llm.invoke(QUESTION).content
    for _ in range(5):
        tasks = [asyncio.create_task(llm.ainvoke(QUESTION)) for _ in range(6)]
        await asyncio.sleep(0.02)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
        assert [message.content for message in done[1::2]] == [expected] * 3


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
async def test_a_call_that_takes_too_long_is_given_up(llm, way):
    slow = llm.model_copy(update={"timeout": 0.05, "max_tokens": 1500})

    async def call():
        if way == "invoke":
            slow.invoke(QUESTION)
        elif way == "stream":
            list(slow.stream(QUESTION))
        elif way == "ainvoke":
            await slow.ainvoke(QUESTION)
        else:
            _ = [chunk async for chunk in slow.astream(QUESTION)]

    with pytest.raises(TimeoutError, match=r"timeout=0\.05"):
        await call()


def test_callbacks_are_told_of_start_tokens_and_end_once(llm):
    class Told(BaseCallbackHandler):
        def __init__(self):
            self.events = []

        def on_chat_model_start(self, *_, **__):
            self.events.append("start")

        def on_llm_new_token(self, token, **_):
            self.events.append(token)

        def on_llm_end(self, *_, **__):
            self.events.append("end")

    told = Told()
    text = "".join(chunk.content for chunk in llm.stream(QUESTION, {"callbacks": [told]}))
    assert (told.events[0], told.events[-1]) == ("start", "end")
    assert "".join(told.events[1:-1]) == text
    told = Told()
    llm.invoke(QUESTION, {"callbacks": [told]})
    assert told.events == ["start", "end"]


def test_a_rate_limiter_is_asked(engine):
    limiter = InMemoryRateLimiter(requests_per_second=1000)
    asked = []
    acquire = limiter.acquire
    object.__setattr__(limiter, "acquire", lambda **how: asked.append(1) or acquire(**how))
    ChatSharedLLM(engine=engine, rate_limiter=limiter, max_tokens=1).invoke(QUESTION)
    assert asked == [1]


# ---------------------------------------------------------------------------------------------- structured output


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("temperature", [0.0, 40.0])
def test_structured_output_fits_whatever_the_model_writes(llm, method, temperature):
    options = {"method": method, "temperature": temperature, "seed": 5, "max_tokens": 90}
    for schema in (Lease, LeaseDict, Lease.model_json_schema()):
        if method == "function_calling":
            structured = llm.bind(**{k: options[k] for k in ("temperature", "seed", "max_tokens")}).bound
            structured = structured.model_copy(
                update={k: options[k] for k in ("temperature", "seed", "max_tokens")}
            ).with_structured_output(schema, method=method)
        else:
            structured = llm.with_structured_output(schema, **options)
        found = structured.invoke(QUESTION)
        values = found.model_dump() if isinstance(found, BaseModel) else found
        assert isinstance(values["tenant"], str)
        assert isinstance(values["months"], int)
        assert isinstance(found, Lease) is (schema is Lease)


def test_partial_objects_are_streamed(llm):
    parts = list(llm.with_structured_output(LeaseDict, max_tokens=90).stream(QUESTION))
    assert len(parts) > 2
    assert parts[0] == {}
    assert set(parts[-1]) == {"tenant", "months"}


def test_raw_output_comes_beside_the_parsed_one(llm):
    found = llm.with_structured_output(Lease, include_raw=True, max_tokens=90).invoke(QUESTION)
    assert json.loads(found["raw"].content)["months"] == found["parsed"].months
    assert found["parsing_error"] is None


@BOTH_READINGS
@pytest.mark.parametrize("strategy", [ProviderStrategy, ToolStrategy])
def test_agents_get_their_response_format(llm, strategy):
    model = llm.model_copy(update={"max_tokens": 120})
    agent = create_agent(model, tools=[], response_format=strategy(Lease))
    assert isinstance(agent.invoke({"messages": [("user", QUESTION)]})["structured_response"], Lease)


# ---------------------------------------------------------------------------------------------- tools and messages


CHOICES = [
    ("any", None),
    ("required", None),
    (True, None),
    ("now", "now"),
    ({"type": "function", "function": {"name": "look_up"}}, "look_up"),
    ({"type": "tool", "name": "look_up"}, "look_up"),
    ({"type": "any"}, None),
    ({"type": "required"}, None),
]


@pytest.mark.parametrize(("choice", "name"), CHOICES, ids=str)
def test_every_tool_choice(llm, choice, name):
    message = llm.bind_tools([look_up, now], tool_choice=choice).invoke(QUESTION, max_tokens=120)
    assert message.tool_calls
    assert name in (None, message.tool_calls[0]["name"])
    for call in message.tool_calls:
        assert call["name"] != "now" or call["args"] == {}
        assert call["id"]


def test_no_tool_is_called_with_none_and_only_one_where_parallel_calls_are_not_wanted(llm):
    for none in ("none", {"type": "none"}):
        bound = llm.bind_tools([look_up], tool_choice=none)
        assert bound.kwargs["tool_choice"] == "none"
        assert not bound.invoke(QUESTION).tool_calls
    one = llm.bind_tools([now], tool_choice="any", parallel_tool_calls=False)
    for seed in range(4):
        assert len(one.invoke(QUESTION, max_tokens=200, temperature=40.0, seed=seed).tool_calls) == 1


def test_messages_of_every_role_and_several_of_one_role_are_taken(llm):
    call = {"name": "look_up", "args": {"clause": "größe"}, "id": "1", "type": "tool_call"}
    said = [
        SystemMessage("Be brief."),
        SystemMessage("Be kind."),
        HumanMessage("Hello."),
        HumanMessage([{"type": "text", "text": QUESTION}]),
        AIMessage("", tool_calls=[call, {**call, "id": "2"}]),
        ToolMessage("ninety days", tool_call_id="1", status="error"),
        ToolMessage([{"type": "text", "text": "a year"}], tool_call_id="2"),
        ChatMessage(role="critic", content="Are you sure?"),
    ]
    assert llm.bind_tools([look_up]).invoke(said).usage_metadata["input_tokens"] > 60


def test_citations_stand_on_content_blocks(engine):
    llm = ChatSharedLLM(engine=engine, output_version="v1", evidence_text=True, max_tokens=12)
    message = llm.invoke(QUESTION, documents=tiny_engine.documents(2))
    [block] = message.content_blocks
    evidence = message.response_metadata["evidence"]
    assert [one["cited_text"] for one in block["annotations"]] == [one["text"] for one in evidence]
    for annotation, span in zip(block["annotations"], evidence, strict=True):
        assert (annotation["type"], annotation["title"]) == ("citation", span["document_id"])
        assert set(annotation) <= set(Citation.__annotations__), "the keys of langchain-core's type"
        assert annotation["extras"] == {name: span[name] for name in ("start", "end", "score")}
        assert (annotation["start_index"], annotation["end_index"]) == (0, len(block["text"]))


def test_citations_stay_as_they_are_through_content_blocks_and_serialization(engine):
    llm = ChatSharedLLM(engine=engine, output_version="v1", max_tokens=12)
    documents = tiny_engine.documents(2)
    chunks = list(llm.stream(QUESTION, documents=documents))
    for message in (llm.invoke(QUESTION, documents=documents), sum(chunks[1:], chunks[0])):
        blocks = message.content_blocks
        [text] = [block for block in blocks if block["type"] == "text"]
        assert text["annotations"][0]["extras"].keys() == {"start", "end", "score"}
        assert AIMessage(content_blocks=blocks).content_blocks == blocks
        assert messages_from_dict(messages_to_dict([message]))[0].content_blocks == blocks
        assert llm.invoke([HumanMessage(QUESTION), message, HumanMessage(QUESTION)]).text


def test_streamed_answers_have_the_citations_of_invoked_ones(engine):
    llm = ChatSharedLLM(engine=engine, output_version="v1", evidence_text=True, max_tokens=12)
    documents = tiny_engine.documents(2)
    expected = _cited(llm.invoke(QUESTION, documents=documents))
    assert expected[1]
    chunks = list(llm.stream(QUESTION, documents=documents))
    assert _cited(sum(chunks[1:], chunks[0])) == expected
    assert _cited(llm.model_copy(update={"streaming": True}).invoke(QUESTION, documents=documents)) == expected
    assert _cited(llm.stream_events(QUESTION, version="v3", documents=documents).output) == expected
    plain = ChatSharedLLM(engine=engine, max_tokens=12)
    assert all(isinstance(chunk.content, str) for chunk in plain.stream(QUESTION, documents=documents))


def _cited(message):
    [block] = [block for block in message.content_blocks if block["type"] == "text"]
    annotations = [{name: value for name, value in one.items() if name != "id"} for one in block["annotations"]]
    return block["text"], annotations


def test_tokens_are_counted_as_the_model_reads_them(llm):
    text = tiny_engine.words(50)
    count = llm.engine.tokenizer.count(text)
    assert llm.get_num_tokens(text) == count > 50
    assert llm.engine.tokenizer.decode(llm.get_token_ids(text)) == text
    told = [HumanMessage(text), AIMessage(text), HumanMessage(text)]
    assert 3 * count < llm.get_num_tokens_from_messages(told) < 4 * count
    assert trim_messages(told, max_tokens=2 * count, token_counter=llm, strategy="last") == told[2:]
    assert ChatSharedLLM(custom_get_token_ids=lambda _: [1]).get_num_tokens(text) == 1


# ---------------------------------------------------------------------------------------------- errors


NEGATED = {"title": "a", "type": "object", "properties": {"b": {"not": {}}}}
ERRORS = {
    "unknown parameters ['tempreture']": lambda llm: ChatSharedLLM(tempreture=1),
    "unknown parameters ['max_token'] of a call": lambda llm: llm.invoke(QUESTION, max_token=1),
    "tool_choice='later' is none of the tools": lambda llm: llm.bind_tools([now], tool_choice="later"),
    "tool_choice={} is none of the tools": lambda llm: llm.bind_tools([now], tool_choice={}),
    "'function': {}} is none of the tools": lambda llm: llm.bind_tools(
        [now], tool_choice={"type": "function", "function": {}}
    ),
    "Unimplemented keys": lambda llm: llm.with_structured_output(
        {"title": "a", "type": "object", "properties": {"b": {"not": {}}}}
    ),
    "method='xml' is not known": lambda llm: llm.with_structured_output(Lease, method="xml"),
    "needs a schema": lambda llm: llm.with_structured_output(),
    "response_format={'type': 'xml'} is not known": lambda llm: llm.invoke(QUESTION, response_format={"type": "xml"}),
    "the last message is empty": lambda llm: llm.invoke(""),
    "temperature=-1": lambda llm: llm.invoke(QUESTION, temperature=-1),
}


@pytest.mark.parametrize(("fault", "call"), ERRORS.items(), ids=list(ERRORS))
def test_what_is_wrong_is_said(llm, fault, call):
    with pytest.raises((InputError, ValidationError)) as refused:  # pydantic wraps what constructors raise
        call(llm)
    assert fault in str(refused.value)


def test_a_prompt_that_cannot_fit_raises_context_overflow_with_the_numbers(llm):
    plain = llm.model_copy(update={"documents_from_prompt": "never"})
    for call in (plain.invoke, lambda prompt: list(plain.stream(prompt))):
        with pytest.raises(ContextOverflowError, match=r"has [\d,]+ tokens, .* window is 2048"):
            call("word " * 3000)


BLOCKED = """
import sys, importlib.metadata as metadata
{setup}
try:
    import sharedllm_integrations.langchain
except ImportError as error:
    print(error)
"""
HIDDEN = """
known = metadata.version
def version(name):
    if name == "langchain-core":
        raise metadata.PackageNotFoundError(name)
    return known(name)
metadata.version = version
"""
OLD = """
known = metadata.version
metadata.version = lambda name: "0.3.1" if name == "langchain-core" else known(name)
"""


@pytest.mark.parametrize(("setup", "said"), [(HIDDEN, "not installed"), (OLD, "0.3.1 is installed")])
def test_without_a_langchain_that_works_the_import_says_what_to_install(setup, said):
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(setup=setup)],
        capture_output=True,
        text=True,
        cwd=tiny_engine.ROOT,
        check=False,
    )
    assert said in done.stdout, done.stderr
    assert "pip install 'sharedllm[langchain]'" in done.stdout

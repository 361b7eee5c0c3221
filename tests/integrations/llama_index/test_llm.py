"""`SharedLLM` as LlamaIndex calls it: the eight methods, events, tools, structured output, counts, errors."""

import asyncio
import json
import pickle
import time
from threading import get_ident
from typing import Literal

import pytest
from llama_index.core import PromptTemplate, Settings
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.prompts.default_prompts import DEFAULT_TEXT_QA_PROMPT
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.schema import NodeWithScore
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field, ValidationError

from sharedllm_core import Document, DocumentError, InputError, WindowError
from sharedllm_integrations._shared import document_set
from sharedllm_integrations.llama_index import SharedLLM
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

QUESTION = "What is the notice period?"
ASKED = [ChatMessage(role="user", content=QUESTION)]
MARK = "harbour ledger number ninety"
LONG = "\n\n".join(f"{MARK} {i}. {tiny_engine.words(40, seed=i)}" for i in range(30))


class Lease(BaseModel):
    """A lease."""

    tenant: str
    months: int = Field(ge=1, le=120)
    kind: Literal["shop", "flat"] | None = None


def look_up(clause: str) -> str:
    """Find a clause."""
    return f"Clause {clause}: ninety days."


def now() -> str:
    """What time it is."""
    return "noon"


TOOLS = [FunctionTool.from_defaults(look_up), FunctionTool.from_defaults(now)]


async def asked_in_every_way(llm, **options):
    """The last responses of all eight methods, by name."""
    *_, streamed = llm.stream_chat(ASKED, **options)
    *_, streamed_completion = llm.stream_complete(QUESTION, **options)
    return {
        "chat": llm.chat(ASKED, **options),
        "achat": await llm.achat(ASKED, **options),
        "stream_chat": streamed,
        "astream_chat": [one async for one in await llm.astream_chat(ASKED, **options)][-1],
        "complete": llm.complete(QUESTION, **options),
        "acomplete": await llm.acomplete(QUESTION, **options),
        "stream_complete": streamed_completion,
        "astream_complete": [one async for one in await llm.astream_complete(QUESTION, **options)][-1],
    }


def text_of(response):
    return response.text if hasattr(response, "text") else response.message.content


# ---------------------------------------------------------------------------------------------- the eight methods


@BOTH_READINGS
async def test_all_eight_methods_give_the_engines_own_answer(engine, llm):
    documents = tiny_engine.documents(2)
    expected = engine.ask(QUESTION, documents, max_new_tokens=12)
    for name, response in (await asked_in_every_way(llm, documents=documents)).items():
        assert text_of(response) == expected.text, name
        usage = response.raw["usage"]
        assert usage["prompt_tokens"] == expected.input_tokens
        assert usage["completion_tokens"] == expected.usage.completion_tokens
        assert [one["document_id"] for one in response.raw["evidence"]] == [
            one.document_id for one in expected.evidence
        ]
        json.dumps(response.raw), "plain values, no tensors"


@BOTH_READINGS
def test_streams_grow_and_their_deltas_are_the_answer(llm):
    for responses in (llm.stream_chat(ASKED), llm.stream_complete(QUESTION)):
        so_far = ""
        seen = []
        for response in responses:
            so_far += response.delta
            assert text_of(response) == so_far
            seen.append(response.raw)
        assert so_far == llm.complete(QUESTION).text
        assert [raw is not None for raw in seen] == [False] * (len(seen) - 1) + [True]


def test_stop_strings_end_an_answer(llm):
    whole = llm.complete(QUESTION).text
    stop = whole[4:7]
    for stopped in (llm.complete(QUESTION, stop=[stop]), llm.model_copy(update={"stop": [stop]}).complete(QUESTION)):
        assert stopped.text == whole[: whole.index(stop)]
        assert stopped.raw["finish_reason"] == "stop"


def test_an_answer_that_is_cut_off_has_finish_reason_length(llm):
    assert llm.complete(QUESTION, max_tokens=3).raw["finish_reason"] == "length"
    question = ChatMessage(role="user", content=QUESTION)
    assert llm.chat([question], max_tokens=3).raw["finish_reason"] == "length"
    *_, last = llm.stream_complete(QUESTION, max_tokens=3)
    assert last.raw["finish_reason"] == "length"
    required = {"tool_required": True, "temperature": 30.0, "seed": 0}
    call = llm.chat_with_tools(TOOLS[:1], QUESTION, max_tokens=60, **required)
    assert llm.get_tool_calls_from_response(call), "its arguments are completed early, and fit"
    assert call.raw["finish_reason"] == "length"


def test_metadata_says_what_the_model_can():
    told = SharedLLM(max_tokens=7, context_window=9999).metadata
    assert (told.context_window, told.num_output) == (9999, 7)
    assert told.is_chat_model
    assert told.is_function_calling_model, "function agents refuse others"
    assert SharedLLM().calls_tools() is SharedLLM(model="reader").calls_tools() is False
    assert SharedLLM().metadata.model_name == "reader"
    assert SharedLLM.class_name() == "SharedLLM"
    assert SharedLLM().metadata.context_window == 8192


def test_making_a_model_loads_no_weights():
    model = SharedLLM(model="nowhere/at-all")
    assert model.metadata.model_name == "nowhere/at-all"


# ---------------------------------------------------------------------------------------------- events and counts


async def test_each_call_is_told_exactly_once(llm, events):
    ways = {
        "LLMChat": [
            lambda: llm.chat(ASKED),
            lambda: llm.achat(ASKED),
            lambda: list(llm.stream_chat(ASKED)),
            lambda: collected(llm.astream_chat(ASKED)),
        ],
        "LLMCompletion": [
            lambda: llm.complete(QUESTION),
            lambda: llm.acomplete(QUESTION),
            lambda: list(llm.stream_complete(QUESTION)),
            lambda: collected(llm.astream_complete(QUESTION)),
        ],
    }
    for kind, calls in ways.items():
        for call in calls:
            events.seen.clear()
            counter = TokenCountingHandler()
            llm.callback_manager = CallbackManager([counter])
            done = call()
            if asyncio.iscoroutine(done):
                await done
            told = [name for name in events.names("LLM") if "InProgress" not in name]
            assert told == [f"{kind}StartEvent", f"{kind}EndEvent"]
            assert len(counter.llm_token_counts) == 1


async def collected(responses):
    return [one async for one in await responses]


async def test_token_counters_report_the_true_counts(engine, llm):
    documents = tiny_engine.documents(2)
    answer = engine.ask(QUESTION, documents, max_new_tokens=12)
    counter = TokenCountingHandler()
    llm.callback_manager = CallbackManager([counter])
    await asked_in_every_way(llm, documents=documents)
    assert len(counter.llm_token_counts) == 8
    for counted in counter.llm_token_counts:
        assert counted.prompt_token_count == answer.input_tokens
        assert counted.completion_token_count == answer.usage.completion_tokens


def test_callbacks_see_a_failing_call_begin_and_end(llm):
    class Seen(TokenCountingHandler):
        told = []

        def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **more):
            self.told.append(f"{event_type.value} start")
            return event_id

        def on_event_end(self, event_type, payload=None, event_id="", **more):
            self.told.append(f"{event_type.value} end")

    llm.callback_manager = CallbackManager([Seen()])
    with pytest.raises(InputError):
        llm.chat([])
    assert [told for told in Seen.told if told.startswith("llm")] == ["llm start", "llm end"]


def test_no_event_and_no_payload_holds_a_documents_text(llm, events):
    secret = [LlamaDocument(text=MARK, id_="a")]
    llm.with_documents(secret).chat([ChatMessage(content="what?")], max_tokens=1)
    llm.chat([ChatMessage(content="what?")], documents=secret, max_tokens=1)
    llm.complete("what?", documents=[Document(MARK, id="a")], max_tokens=1)
    shown = [event.model_dump_json() for event in events.seen]
    assert len(shown) >= 6
    given = llm.model_copy(update={"documents": llm.with_documents(secret).documents})
    assert not any(MARK in text for text in [*shown, repr(given), given.to_json(), str(given.to_payload())])
    assert str(given.documents) in str(given.to_payload())


def test_settings_take_the_model_and_its_tokenizer(llm):
    import llama_index.core

    before = llama_index.core.global_tokenizer
    try:
        Settings.llm = llm
        Settings.tokenizer = llm.tokenizer
        assert Settings.llm is llm
        assert len(Settings.tokenizer(LONG)) == llm.engine.tokenizer.count(LONG)
    finally:
        llama_index.core.global_tokenizer = before


# ---------------------------------------------------------------------------------------------- async


async def test_concurrent_calls_are_answered_side_by_side_and_the_event_loop_goes_on(llm, rows_of_steps):
    sets = [[Document(tiny_engine.words(800, seed=seed), id="a")] for seed in range(8)]
    expected = [llm.engine.ask(QUESTION, one, max_new_tokens=12).text for one in sets]
    ticks = 0

    async def ticking():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    ticker = asyncio.create_task(ticking())
    answers = await asyncio.gather(*(llm.achat(ASKED, documents=one) for one in sets))
    ticker.cancel()
    assert [answer.message.content for answer in answers] == expected
    assert max(rows_of_steps) > 1
    assert ticks > 3


@BOTH_READINGS
async def test_a_cancelled_call_stops_the_model(llm):
    task = asyncio.create_task(llm.achat(ASKED, max_tokens=1500))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.wait_for(llm.achat(ASKED, max_tokens=1), 10)


@BOTH_READINGS
def test_leaving_a_stream_stops_the_model(llm):
    responses = llm.stream_chat(ASKED, max_tokens=1500)
    next(responses)
    responses.close()
    began = time.monotonic()
    llm.chat(ASKED, max_tokens=1)
    assert time.monotonic() - began < 5, "the next question waits for nobody"


async def test_a_call_that_takes_too_long_is_given_up(llm):
    slow = llm.model_copy(update={"timeout": 0.05, "max_tokens": 1500})
    for call in (lambda: slow.chat(ASKED), lambda: list(slow.stream_complete(QUESTION))):
        with pytest.raises(TimeoutError, match=r"timeout=0\.05"):
            call()
    for call in (slow.acomplete(QUESTION), collected(slow.astream_chat(ASKED))):
        with pytest.raises(TimeoutError, match=r"timeout=0\.05"):
            await call


# ---------------------------------------------------------------------------------------------- documents


WAYS = {
    "call": lambda llm, documents: llm.chat(ASKED, documents=documents),
    "constructor": lambda llm, documents: SharedLLM(engine=llm.engine, max_tokens=12, documents=documents).chat(ASKED),
    "with_documents": lambda llm, documents: llm.with_documents(documents).chat(ASKED),
}


@BOTH_READINGS
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_every_way_of_giving_documents_gives_the_same_answer(engine, llm, way):
    expected = engine.ask(QUESTION, [Document(LONG, id="lease")], max_new_tokens=12)
    for documents in (LlamaDocument(text=LONG, id_="lease"), [Document(LONG, id="lease")]):
        response = way(llm, documents)
        assert response.message.content == expected.text
        assert response.raw["usage"]["past_context_tokens"] == expected.usage.past_context_tokens


@pytest.mark.parametrize("method", ["achat", "astream_chat", "acomplete", "astream_complete"])
async def test_documents_are_loaded_beside_the_event_loop(llm, tmp_path, monkeypatch, method):
    (tmp_path / "a.txt").write_text("The notice period is ninety days.")
    threads = []
    known = document_set.read_files
    monkeypatch.setattr(document_set, "read_files", lambda path: threads.append(get_ident()) or known(path))
    asked = QUESTION if "complete" in method else ASKED
    response = await getattr(llm, method)(asked, documents=str(tmp_path), max_tokens=2)
    if "stream" in method:
        response = [one async for one in response][-1]
    assert response.raw["usage"]["past_context_tokens"] > 0
    assert threads
    assert get_ident() not in threads


def test_of_nodes_that_are_not_all_there_the_answer_says_what_is_missing(llm):
    whole = LlamaDocument(text=tiny_engine.words(300), id_="lease")
    nodes = SentenceSplitter(chunk_size=60, chunk_overlap=0).get_nodes_from_documents([whole])
    for given in ([nodes[0], *nodes[2:]], [NodeWithScore(node=node) for node in (nodes[0], *nodes[2:])]):
        [missing] = llm.chat(ASKED, documents=given).raw["documents"]["lease"]["missing"]
        assert missing["characters"] > 0
    assert "documents" not in llm.chat(ASKED, documents=nodes).raw


def test_more_documents_than_fit_are_refused_before_they_are_read(llm):
    small = llm.model_copy(update={"context_window": 50})
    with pytest.raises(WindowError, match="context_window is 50"):
        small.with_documents([Document(LONG)])
    assert llm.engine.cache.stats()["memory"].entries == 0


@BOTH_READINGS
def test_documents_in_the_prompts_of_llama_index_are_read_as_documents(llm):
    long = LONG + "\n\n" + LONG[::-1]  # together more than the window
    prompt = DEFAULT_TEXT_QA_PROMPT.format(context_str=long, query_str=QUESTION)
    tokens = llm.engine.tokenizer.count(long)
    for response in (llm.complete(prompt), llm.chat([ChatMessage(role="user", content=prompt)])):
        assert 0.95 * tokens <= response.raw["usage"]["past_context_tokens"] <= 1.05 * tokens
        assert response.raw["documents_from_messages"][0]["from"] == "text"
    off = llm.model_copy(update={"documents_from_prompt": "never"})
    assert off.complete(prompt[-1000:]).raw["usage"]["past_context_tokens"] == 0


@BOTH_READINGS
def test_document_blocks_are_read_as_documents(llm, tmp_path):
    (tmp_path / "lease.md").write_text(LONG)
    blocks = [
        DocumentBlock(data=LONG.encode(), title="lease", document_mimetype="text/plain"),
        DocumentBlock(path=str(tmp_path / "lease.md")),
    ]
    response = llm.chat([ChatMessage(role="user", blocks=[*blocks, TextBlock(text=QUESTION)])])
    assert response.raw["usage"]["past_context_tokens"] == 2 * llm.engine.tokenizer.count(LONG)
    assert response.raw["documents_from_messages"][0]["documents"] == ["lease", (tmp_path / "lease.md").as_posix()]


def test_a_block_named_like_a_document_is_another_document(llm):
    given = [Document(LONG[::-1], id="lease")]
    blocks = [DocumentBlock(data=LONG.encode(), title="lease"), TextBlock(text=QUESTION)]
    raw = llm.chat([ChatMessage(role="user", blocks=blocks)], documents=given, num_evidence=20).raw
    assert raw["documents_from_messages"][0]["documents"] == ["lease (2)"]
    assert {one["document_id"] for one in raw["evidence"] if "text" in one} <= {"lease (2)"}


@pytest.mark.parametrize("media_type", ["TEXT/plain; charset=utf-8", "application/yaml"])
def test_every_media_type_of_text_is_text(llm, media_type):
    block = DocumentBlock(data=LONG.encode(), title="lease", document_mimetype=media_type)
    raw = llm.chat([ChatMessage(role="user", blocks=[block, TextBlock(text=QUESTION)])]).raw
    assert raw["usage"]["past_context_tokens"] == llm.engine.tokenizer.count(LONG)


def test_what_citations_hold_is_read(llm):
    cited = CitableBlock(
        title="lease",
        source="a drawer",
        content=[TextBlock(text="Ninety."), DocumentBlock(data=LONG.encode(), title="lease")],
    )
    used = llm.chat([ChatMessage(role="user", blocks=[cited, TextBlock(text=QUESTION)])]).raw
    assert used["usage"]["past_context_tokens"] == llm.engine.tokenizer.count(LONG)
    assert used["documents_from_messages"][0]["documents"] == ["lease"]
    shown = cited.model_copy(update={"content": [ImageBlock(url="https://example.org/a.png")]})
    with pytest.raises(InputError, match="ImageBlock"):
        llm.chat([ChatMessage(role="user", blocks=[shown, TextBlock(text=QUESTION)])])


def test_messages_of_every_role_are_taken(llm):
    call = ToolCallBlock(tool_call_id="1", tool_name="look_up", tool_kwargs={"clause": "größe"})
    said = [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="developer", content="Be kind."),
        ChatMessage(role="user", content="Hello."),
        ChatMessage(role="assistant", blocks=[ThinkingBlock(content="hm"), TextBlock(text="I look."), call]),
        ChatMessage(role="tool", content="ninety days", additional_kwargs={"tool_call_id": "1"}),
        ChatMessage(role="chatbot", content="So it is."),
        ChatMessage(role=MessageRole.USER, content=QUESTION),
    ]
    assert llm.chat(said).raw["usage"]["prompt_tokens"] > 40


# ---------------------------------------------------------------------------------------------- tools


@BOTH_READINGS
def test_tools_are_called_with_what_fits_them(llm):
    for seed in range(3):
        options = {"temperature": 30.0, "seed": seed, "max_tokens": 150}
        response = llm.chat_with_tools(TOOLS, QUESTION, tool_required=True, **options)
        calls = llm.get_tool_calls_from_response(response)
        assert len(calls) == 1, "several only where that is wanted"
        assert set(calls[0].tool_kwargs) == ({"clause"} if calls[0].tool_name == "look_up" else set())
        assert response.raw["finish_reason"] in ("tool_calls", "length"), "random weights fill strings to the end"
    named = llm.chat_with_tools(TOOLS, QUESTION, tool_choice="now", max_tokens=100)
    assert llm.get_tool_calls_from_response(named)[0].tool_name == "now"
    free = llm.chat_with_tools(TOOLS, QUESTION, tool_choice="none")
    with pytest.raises(ValueError, match="calls no tool"):
        llm.get_tool_calls_from_response(free)


async def test_predict_and_call_uses_tools_and_no_text_of_react(llm, events):
    done = llm.predict_and_call(TOOLS, QUESTION, tool_required=True, max_tokens=100)
    assert done.sources[0].tool_name in ("look_up", "now")
    adone = await llm.apredict_and_call(TOOLS, QUESTION, tool_required=True, max_tokens=100)
    assert adone.sources[0].tool_name == done.sources[0].tool_name
    starts = [event for event in events.seen if type(event).__name__ == "LLMChatStartEvent"]
    assert len(starts) == 2
    assert not any("Thought:" in str(event.messages) for event in starts)


async def test_streamed_calls_come_with_the_last_response(llm):
    options = {"tool_required": True, "max_tokens": 100}
    *_, last = llm.stream_chat_with_tools(TOOLS, QUESTION, **options)
    assert llm.get_tool_calls_from_response(last)
    alast = [one async for one in await llm.astream_chat_with_tools(TOOLS, QUESTION, **options)][-1]
    assert llm.get_tool_calls_from_response(alast)[0].tool_name == llm.get_tool_calls_from_response(last)[0].tool_name


@pytest.mark.parametrize("streaming", [False, True])
async def test_agents_call_tools(llm, streaming):
    called = []

    def count(number: int) -> str:
        """Count up to a number."""
        called.append(number)
        return "counted"

    agent = FunctionAgent(
        tools=[FunctionTool.from_defaults(count, return_direct=True)],
        llm=llm.model_copy(update={"max_tokens": 60}),
        initial_tool_choice="count",
        streaming=streaming,
        system_prompt="Count.",
    )
    for runs in (agent, AgentWorkflow(agents=[agent])):
        called.clear()
        output = await runs.run(user_msg=QUESTION)
        assert called
        assert all(isinstance(number, int) for number in called)
        assert output.tool_calls[0].tool_name == "count"


# ---------------------------------------------------------------------------------------------- structured output


ABOUT = PromptTemplate("Which lease is about {what}?")


@pytest.mark.parametrize("temperature", [0.0, 40.0])
async def test_structured_output_fits_whatever_the_model_writes(llm, events, temperature):
    options = {"temperature": temperature, "seed": 3, "max_tokens": 120}
    lease = llm.structured_predict(Lease, ABOUT, options, what="keys")
    assert isinstance(lease, Lease)
    assert await llm.astructured_predict(Lease, ABOUT, options, what="keys") == lease
    told = events.names("StructuredPredict")
    assert told == ["LLMStructuredPredictStartEvent", "LLMStructuredPredictEndEvent"] * 2
    assert events.names("LLMChatStart") == ["LLMChatStartEvent"] * 2


async def test_objects_are_streamed_as_they_grow(llm):
    options = {"max_tokens": 120}
    whole = llm.structured_predict(Lease, ABOUT, options, what="keys")
    parts = list(llm.stream_structured_predict(Lease, ABOUT, options, what="keys"))
    assert parts[-1] == whole
    assert len(parts) > 2
    aparts = [part async for part in await llm.astream_structured_predict(Lease, ABOUT, options, what="keys")]
    assert aparts[-1] == whole


@BOTH_READINGS
def test_structured_models_and_programs_work(llm):
    wide = llm.model_copy(update={"max_tokens": 120})
    answered = wide.as_structured_llm(Lease).complete(QUESTION)
    assert isinstance(answered.raw, Lease)
    program = FunctionCallingProgram.from_defaults(Lease, "Which lease is about {what}?", llm=wide)
    assert isinstance(program(what="keys"), Lease)


async def test_programs_that_stream_get_their_object_too(llm):
    wide = llm.model_copy(update={"max_tokens": 120})
    program = FunctionCallingProgram.from_defaults(Lease, "Which lease is about {what}?", llm=wide)
    *_, last = program.stream_call(what="keys", llm_kwargs={"temperature": 40.0, "seed": 3})
    assert isinstance(last, Lease)
    *_, alast = [
        one async for one in await program.astream_call(what="keys", llm_kwargs={"temperature": 40.0, "seed": 3})
    ]
    assert alast == last
    assert wide._prepare_chat_with_tools(TOOLS[:1], QUESTION, tool_choice=None)["tool_choice"] == "auto"


# ---------------------------------------------------------------------------------------------- errors


ERRORS = {
    "unknown parameters ['tempreture']": lambda llm: SharedLLM(tempreture=1),
    "unknown arguments ['max_token'] of a call": lambda llm: llm.complete(QUESTION, max_token=1),
    "tool_choice='later' is none of the tools": lambda llm: llm.chat_with_tools(TOOLS, QUESTION, tool_choice="later"),
    "there are no messages": lambda llm: llm.chat([]),
    "the last message is empty": lambda llm: llm.complete(""),
    "temperature=-1": lambda llm: llm.complete(QUESTION, temperature=-1),
    "of type ImageBlock is neither text": lambda llm: llm.chat(
        [ChatMessage(blocks=[ImageBlock(url="https://example.org/a.png"), TextBlock(text="what?")])]
    ),
    "nothing is fetched from the network": lambda llm: llm.chat(
        [ChatMessage(blocks=[DocumentBlock(url="https://example.org/a.txt"), TextBlock(text="what?")])]
    ),
    "context_window": lambda llm: SharedLLM(context_window=0),
    "names no documents": lambda llm: llm.with_documents(None),
    "in one of these places": lambda llm: llm.with_documents([Document(MARK)]).complete(
        QUESTION, documents=[Document(MARK)]
    ),
}


@pytest.mark.parametrize(("fault", "call"), ERRORS.items(), ids=list(ERRORS))
def test_what_is_wrong_is_said(llm, fault, call):
    with pytest.raises((InputError, ValidationError)) as refused:  # pydantic wraps what constructors raise
        call(llm)
    assert fault in str(refused.value)


def test_a_folder_without_documents_is_named(llm, tmp_path):
    with pytest.raises(DocumentError, match=tmp_path.name):
        llm.with_documents(str(tmp_path))


def test_what_is_no_document_is_refused(llm):
    with pytest.raises(DocumentError, match="int is no document"):
        llm.complete(QUESTION, documents=[7])


def test_more_than_fits_is_refused_with_the_numbers(llm):
    plain = llm.model_copy(update={"documents_from_prompt": "never", "context_window": 1000})
    with pytest.raises(WindowError, match=r"has [\d,]+ tokens, .* window is 2048"):
        plain.complete("word " * 3000)
    with pytest.raises(WindowError, match=r"the 1 documents have [\d,]+ tokens, and context_window is 1,000"):
        list(plain.stream_complete(QUESTION, documents=[Document(LONG * 2)]))


def test_a_model_can_be_copied_and_pickled_without_its_weights(llm):
    again = pickle.loads(pickle.dumps(llm.model_copy(update={"engine": None})))  # noqa: S301
    assert again.max_tokens == 12
    assert again.metadata == llm.model_copy(update={"engine": None}).metadata


WITHOUT = """
import importlib.metadata as metadata
known = metadata.version
def version(name):
    if name == "llama-index-core":
        {instead}
    return known(name)
metadata.version = version
try:
    import sharedllm_integrations.llama_index
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("instead", "said"),
    [("raise metadata.PackageNotFoundError(name)", "not installed"), ("return '0.9.1'", "0.9.1 is installed")],
)
def test_without_a_llama_index_that_works_the_import_says_what_to_install(instead, said):
    done = tiny_engine.run_python(WITHOUT.format(instead=instead))
    assert said in done.stdout, done.stderr
    assert "pip install 'sharedllm[llama-index]'" in done.stdout


def test_public_names_are_documented():
    import sharedllm_integrations.llama_index as module

    assert set(module.__all__) == {
        "FullDocumentRetriever",
        "SharedLLM",
        "SharedLLMChatEngine",
        "SharedLLMQueryEngine",
        "SharedLLMSynthesizer",
    }
    assert all(getattr(module, name).__doc__ for name in module.__all__)


def test_importing_the_core_loads_no_llama_index():
    code = "import sys, sharedllm_core, sharedllm_integrations; print('llama_index' in sys.modules)"
    done = tiny_engine.run_python(code)
    assert done.stdout.strip() == "False", done.stderr

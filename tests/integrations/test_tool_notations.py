"""Tools through both integrations, on models whose notation has markers that are single added tokens."""

from functools import cache

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock

from sharedllm_core.generation.tool_notations.notation import ToolNotation
from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.llama_index import SharedLLM
from tests.chat_templates import FAMILIES
from tests.scripted import engine_of_family, writing

QUESTION = "Which rent?"
LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Find a clause.",
        "parameters": {"type": "object", "properties": {"clause": {"type": "string"}}, "required": ["clause"]},
    },
}
CALL = {"type": "function", "function": {"name": "look_up", "arguments": {"clause": "rent"}}}
NAMED_CALLS = [("look_up", {"clause": "rent"})]
#: What begins a call in each notation; in that of Llama 3 the tag may stand before it.
MARKERS = {
    "qwen": "<tool_call>",
    "qwen, special": "<tool_call>",
    "mistral": "[TOOL_CALLS]",
    "mistral, args": "[TOOL_CALLS]",
    "llama 3": "<|python_tag|>",
}
#: Calls that a model without a grammar may break off or garble, behind the marker.
BROKEN = [
    '{"name": "look_up", "arguments": {"clause": rent',
    '\n{"name": "look_up", "arguments": {"clause": "rent"\n',
    '{"name": 5, "arguments": null}',
    "look_up(clause='rent')",
]
every_family = pytest.mark.parametrize("family", MARKERS)


@pytest.fixture(scope="module")
def engines():
    """An engine for each family, made when it is first used."""
    return cache(engine_of_family)


@pytest.fixture
def engine(engines, family):
    return engines(family)


def _langchain_result(message):
    assert not message.invalid_tool_calls
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    return message.text, calls, message.response_metadata["finish_reason"]


def _joined(chunks):
    message = sum(chunks[1:], chunks[0])
    assert isinstance(message, AIMessageChunk)
    assert not any(chunk.text for chunk in chunks if chunk.tool_call_chunks)
    return _langchain_result(message)


async def _langchain(engine, way, choice):
    llm = ChatSharedLLM(engine=engine, max_tokens=120)
    llm = llm if choice is None else llm.bind_tools([LOOK_UP], tool_choice=choice)
    if way == "invoke":
        return _langchain_result(llm.invoke(QUESTION))
    if way == "stream":
        return _joined(list(llm.stream(QUESTION)))
    if way == "ainvoke":
        return _langchain_result(await llm.ainvoke(QUESTION))
    return _joined([chunk async for chunk in llm.astream(QUESTION)])


def _llama_index_result(response):
    blocks = response.message.blocks
    calls = [(block.tool_name, block.tool_kwargs) for block in blocks if isinstance(block, ToolCallBlock)]
    text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
    return text, calls, response.raw["finish_reason"]


def _last(responses):
    text, calls, reason = _llama_index_result(responses[-1])
    assert "".join(response.delta or "" for response in responses) == text
    return text, calls, reason


async def _llama_index(engine, way, choice):
    llm = SharedLLM(engine=engine, max_tokens=120)
    messages = [ChatMessage(role="user", content=QUESTION)]
    options = {} if choice is None else {"tools": [LOOK_UP], "tool_choice": choice}
    if way == "chat":
        return _llama_index_result(llm.chat(messages, **options))
    if way == "stream_chat":
        return _last(list(llm.stream_chat(messages, **options)))
    if way == "achat":
        return _llama_index_result(await llm.achat(messages, **options))
    return _last([response async for response in await llm.astream_chat(messages, **options)])


def _way(integration, name):
    return pytest.param(
        lambda engine, choice: integration(engine, name, choice), id=f"{integration.__name__[1:]} {name}"
    )


in_every_way = pytest.mark.parametrize(
    "answer",
    [
        *(_way(_langchain, name) for name in ("invoke", "stream", "ainvoke", "astream")),
        *(_way(_llama_index, name) for name in ("chat", "stream_chat", "achat", "astream_chat")),
    ],
)
in_each_integration = pytest.mark.parametrize("answer", [_way(_langchain, "stream"), _way(_llama_index, "chat")])


def written_call(engine, family):
    """The text of a call as the model writes it, with the tag that Llama 3 may write before it."""
    text = ToolNotation.for_tokenizer(engine.tokenizer).format_calls([CALL])
    return MARKERS[family] + text if family == "llama 3" else text


def assert_no_special_token(engine, text):
    assert not [token for token in engine.tokenizer.tokenizer.all_special_tokens if token in text]


@every_family
def test_the_marker_is_one_token(engine, family):
    ids = engine.tokenizer.tokenizer(MARKERS[family], add_special_tokens=False)["input_ids"]
    assert len(ids) == 1
    assert FAMILIES[family].in_template


@every_family
@in_every_way
async def test_a_call_arrives_as_a_call_and_the_text_before_it_as_text(engine, family, answer):
    before = "Let me see. " if FAMILIES[family].parallel else ""
    with writing(engine, before, written_call(engine, family)):
        assert await answer(engine, "auto") == (before, NAMED_CALLS, "tool_calls")


@every_family
@in_each_integration
async def test_a_call_that_is_required_comes_whatever_the_model_writes(engine, answer):
    with writing(engine, ("I would rather not.",)):
        text, calls, _ = await answer(engine, "required")
    ((name, arguments),) = calls[:1]
    assert (text, name, list(arguments)) == ("", "look_up", ["clause"])


@every_family
@in_every_way
async def test_with_none_a_call_that_the_model_writes_is_text_without_special_tokens(engine, family, answer):
    with writing(engine, "So: ", written_call(engine, family)):
        text, calls, reason = await answer(engine, "none")
    assert (calls, reason) == ([], "stop")
    assert text.startswith("So:")
    assert "look_up" in text
    assert_no_special_token(engine, text)
    with writing(engine, "So: ", written_call(engine, family)):
        assert await answer(engine, None) == (text, [], "stop"), "as without tools"


@every_family
@in_each_integration
@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_call_without_a_grammar_is_text(engine, family, answer, broken):
    with writing(engine, "So: ", MARKERS[family] + broken):
        text, calls, reason = await answer(engine, "none")
    assert (calls, reason) == ([], "stop")
    assert text.rstrip().endswith(broken.strip())
    assert_no_special_token(engine, text)


@every_family
@in_each_integration
@pytest.mark.parametrize("broken", BROKEN[:2])
async def test_a_call_that_goes_wrong_is_completed_so_that_it_fits(engine, family, answer, broken):
    with writing(engine, MARKERS[family] + broken):
        text, calls, _ = await answer(engine, "auto")
    assert all(name == "look_up" and isinstance(arguments["clause"], str) for name, arguments in calls)
    assert calls or family == "llama 3", "behind its tag Llama 3 may go on with text"
    assert_no_special_token(engine, text)


@every_family
def test_earlier_calls_and_results_do_not_make_calls_of_an_answer_with_none(engine, family):
    marker = MARKERS[family]
    messages = [
        HumanMessage("what rent?"),
        AIMessage("", tool_calls=[{"id": "nineChar1", "name": "look_up", "args": {"clause": marker}}]),
        ToolMessage(f"{marker}ninety pounds", tool_call_id="nineChar1"),
        HumanMessage(f"Sure? {marker}"),
    ]
    llm = ChatSharedLLM(engine=engine, max_tokens=120).bind_tools([LOOK_UP], tool_choice="none")
    with writing(engine, ("Ninety pounds.",)):
        message = llm.invoke(messages)
    assert (message.text, message.tool_calls, message.invalid_tool_calls) == ("Ninety pounds.", [], [])

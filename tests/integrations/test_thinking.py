"""Thoughts of reasoning models are where LangChain and LlamaIndex expect reasoning, and come back as such."""

import asyncio
import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_tests.utils.stream_lifecycle import assert_valid_event_stream
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ThinkingBlock, ToolCallBlock
from pydantic import BaseModel

from sharedllm_core import InputError
from sharedllm_core.generation.prompting import render
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.langchain.messages import parse_message as parse_langchain
from sharedllm_integrations.llama_index import SharedLLM
from sharedllm_integrations.llama_index.messages import parse_message as parse_llama_index
from tests.thinking_templates import QWEN3, R1, scripted_engine, tokenizer

THOUGHTS = "The lease says so.\nNinety."
ANSWER = "Ninety days."
QUESTION = "What is the notice period?"
MESSAGES = [ChatMessage(role="user", content=QUESTION)]
SCRIPT = f"<think>\n{THOUGHTS}\n</think>\n\n{ANSWER}"
PING = {"name": "ping", "description": "", "parameters": {"type": "object", "properties": {}}}


class Period(BaseModel):
    days: int


@pytest.fixture(scope="module")
def engine():
    return scripted_engine(QWEN3, SCRIPT)


async def collected(stream):
    return [item async for item in stream]


# ------------------------------------------------------------------------------------------------ LangChain


def merged(chunks):
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


def test_langchain_has_thoughts_as_reasoning_content(engine):
    llm = ChatSharedLLM(engine=engine)
    for message in (llm.invoke(QUESTION), merged(list(llm.stream(QUESTION)))):
        assert message.content == ANSWER
        assert message.additional_kwargs["reasoning_content"] == THOUGHTS
        blocks = message.content_blocks
        assert [block["type"] for block in blocks] == ["reasoning", "text"]
        assert blocks[0]["reasoning"] == THOUGHTS
        usage = message.usage_metadata
        assert 0 < usage["output_token_details"]["reasoning"] < usage["output_tokens"]


def test_langchain_streams_thoughts_before_the_text(engine):
    llm = ChatSharedLLM(engine=engine)
    for chunks in (list(llm.stream(QUESTION)), asyncio.run(collected(llm.astream(QUESTION)))):
        thinking = [bool(chunk.additional_kwargs.get("reasoning_content")) for chunk in chunks]
        texts = [bool(chunk.content) for chunk in chunks]
        assert sum(thinking) > 3
        assert max(at for at, is_thought in enumerate(thinking) if is_thought) < texts.index(True)
        assert merged(chunks).additional_kwargs["reasoning_content"] == THOUGHTS


def test_langchain_version_1_has_a_reasoning_block_before_the_text(engine):
    llm = ChatSharedLLM(engine=engine, output_version="v1")
    for message in (llm.invoke(QUESTION), merged(list(llm.stream(QUESTION)))):
        blocks = [block for block in message.content if block.get("text") != ""]
        assert [block["type"] for block in blocks] == ["reasoning", "text"]
        assert (blocks[0]["reasoning"], blocks[1]["text"]) == (THOUGHTS, ANSWER)


@pytest.mark.parametrize("version", [None, "v1"])
def test_langchain_events_of_version_3_have_a_reasoning_block(engine, version):
    events = list(ChatSharedLLM(engine=engine, output_version=version).stream_events(QUESTION, version="v3"))
    assert_valid_event_stream(events)
    finished = [event["content"] for event in events if event["event"] == "content-block-finish"]
    assert [block["type"] for block in finished] == ["reasoning", "text"]
    assert finished[0]["reasoning"] == THOUGHTS


def test_langchain_sends_no_thoughts_where_there_are_none():
    message = ChatSharedLLM(engine=scripted_engine(QWEN3, ANSWER), thinking=False).invoke(QUESTION)
    assert message.content == ANSWER
    assert "reasoning_content" not in message.additional_kwargs
    assert "output_token_details" not in message.usage_metadata


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_langchain_structured_output_follows_the_thoughts(engine, method):
    runnable = ChatSharedLLM(engine=engine).with_structured_output(Period, method=method, include_raw=True)
    result = runnable.invoke(QUESTION)
    assert isinstance(result["parsed"], Period)
    assert result["raw"].additional_kwargs["reasoning_content"] == THOUGHTS


def test_langchain_switches_thinking_by_field_and_by_call():
    llm = ChatSharedLLM(engine=scripted_engine(QWEN3, ANSWER), thinking=False)
    off = llm.invoke(QUESTION).usage_metadata["input_tokens"]
    assert llm.invoke(QUESTION, thinking=True).usage_metadata["input_tokens"] < off
    assert llm.bind(thinking=True).invoke(QUESTION).usage_metadata["input_tokens"] < off
    assert llm._identifying_params["thinking"] is False
    with pytest.raises(InputError, match="thinking=False needs a chat template with a switch"):
        ChatSharedLLM(engine=scripted_engine(R1, ANSWER), thinking=False).invoke(QUESTION)


EARLIER = {
    "reasoning content": AIMessage("Yes.", additional_kwargs={"reasoning_content": "Hm."}),
    "reasoning block": AIMessage([{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "Yes."}]),
    "thinking block": AIMessage([{"type": "thinking", "thinking": "Hm.", "signature": "x"}, "Yes."]),
    "both": AIMessage(
        [{"type": "reasoning", "reasoning": "Hm."}, "Yes."], additional_kwargs={"reasoning_content": "Hm."}
    ),
}


@pytest.mark.parametrize("earlier", EARLIER.values(), ids=EARLIER)
def test_langchain_reads_thoughts_of_earlier_answers_and_never_as_text(earlier):
    parsed = parse_langchain(earlier, 0)
    assert ("".join(parsed.texts), parsed.thoughts) == ("Yes.", "Hm.")


def test_thoughts_of_a_tool_call_come_back_to_a_template_that_keeps_them(monkeypatch):
    script = '<think>\nI will ping.\n</think>\n\n<tool_call>\n{"name":"ping","arguments":{}}\n</tool_call>'
    engine = scripted_engine(QWEN3, script)
    llm = ChatSharedLLM(engine=engine).bind_tools([PING])
    called = llm.invoke(QUESTION)
    assert called.tool_calls[0]["name"] == "ping"
    prompts = []
    monkeypatch.setattr(engine, "ask", lambda messages, *_, **__: prompts.append(messages) or engine_answer)
    engine_answer = scripted_engine(QWEN3, ANSWER).ask(QUESTION)
    llm.invoke([HumanMessage(QUESTION), called, ToolMessage("up", tool_call_id=called.tool_calls[0]["id"])])
    text = render(prompts[0], TextTokenizer(tokenizer(QWEN3)))
    assert text.count("I will ping.") == 1
    assert "<think>\nI will ping.\n</think>\n\n<tool_call>" in text


# ------------------------------------------------------------------------------------------------ LlamaIndex


def test_llama_index_has_thoughts_as_a_block_before_the_text(engine):
    llm = SharedLLM(engine=engine)
    for response in (llm.chat(MESSAGES), list(llm.stream_chat(MESSAGES))[-1]):
        thoughts, text = response.message.blocks
        assert isinstance(thoughts, ThinkingBlock)
        assert (thoughts.content, text.text) == (THOUGHTS, ANSWER)
        assert thoughts.num_tokens == response.raw["usage"]["thought_tokens"] > 0
        assert response.message.content == ANSWER


def test_llama_index_streams_thoughts_as_thinking_deltas(engine):
    llm = SharedLLM(engine=engine)

    async def streamed():
        return await collected(await llm.astream_chat(MESSAGES))

    for responses in (list(llm.stream_chat(MESSAGES)), asyncio.run(streamed())):
        deltas = [response.additional_kwargs.get("thinking_delta", "") for response in responses]
        assert "".join(deltas) == THOUGHTS
        assert "".join(response.delta for response in responses) == ANSWER
        assert sum(map(bool, deltas)) > 3
        for response, delta in zip(responses, deltas, strict=True):
            assert not (delta and response.delta)
        midway = responses[len(THOUGHTS) // 4].message.blocks
        assert THOUGHTS.startswith(midway[0].content)


def test_llama_index_completions_have_thoughts_beside_the_text(engine):
    llm = SharedLLM(engine=engine)
    for response in (llm.complete(QUESTION), list(llm.stream_complete(QUESTION))[-1]):
        assert (response.text, response.additional_kwargs["thinking"]) == (ANSWER, THOUGHTS)
    responses = list(llm.stream_complete(QUESTION))
    assert "".join(response.additional_kwargs.get("thinking_delta", "") for response in responses) == THOUGHTS


def test_llama_index_structured_output_follows_the_thoughts(engine):
    response = SharedLLM(engine=engine).as_structured_llm(Period).chat(MESSAGES)
    assert set(json.loads(response.message.content)) == {"days"}


def test_llama_index_switches_thinking_by_field_and_by_call():
    llm = SharedLLM(engine=scripted_engine(QWEN3, ANSWER), thinking=False)
    off = llm.chat(MESSAGES)
    assert [type(block) for block in off.message.blocks] == [TextBlock]
    assert llm.chat(MESSAGES, thinking=True).raw["usage"]["prompt_tokens"] < off.raw["usage"]["prompt_tokens"]


def test_llama_index_reads_thoughts_of_earlier_answers_and_never_as_text():
    call = ToolCallBlock(tool_call_id="1", tool_name="ping", tool_kwargs={})
    message = ChatMessage(role="assistant", blocks=[ThinkingBlock(content="Hm."), TextBlock(text="Yes."), call])
    parsed = parse_llama_index(message)
    assert ("".join(parsed.texts), parsed.thoughts) == ("Yes.", "Hm.")
    assert (
        parse_llama_index(ChatMessage(role="assistant", blocks=[ThinkingBlock(), TextBlock(text="Yes.")])).thoughts
        == ""
    )

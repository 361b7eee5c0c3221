"""Errors that leave an integration name its own fields and arguments, and no setting that does not exist there."""

import pytest
from langchain_core.exceptions import ContextOverflowError
from llama_index.core.base.llms.types import ChatMessage

from sharedllm_core import Constraint, Document, InputError, SharedLLMError, UntrainedInjectionError, WindowError
from sharedllm_core.errors import setting
from sharedllm_integrations.langchain import ChatSharedLLM, read_documents
from sharedllm_integrations.llama_index import SharedLLM, SharedLLMQueryEngine
from tests import tiny_engine

QUESTION = "What is the notice period?"
MESSAGES = [ChatMessage(role="user", content=QUESTION)]
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"b": {"type": "string"}}}},
}


async def _consumed(stream):
    return [piece async for piece in stream]


async def _langchain_batch(engine, **options):
    ChatSharedLLM(engine=engine).batch([QUESTION] * 3, **options)


async def _langchain(engine, way, **options):
    llm = ChatSharedLLM(engine=engine)
    if way == "invoke":
        llm.invoke(QUESTION, **options)
    elif way == "stream":
        list(llm.stream(QUESTION, **options))
    elif way == "ainvoke":
        await llm.ainvoke(QUESTION, **options)
    else:
        await _consumed(llm.astream(QUESTION, **options))


async def _llama_index(engine, way, **options):
    llm = SharedLLM(engine=engine)
    if way == "chat":
        llm.chat(MESSAGES, **options)
    elif way == "stream_complete":
        list(llm.stream_complete(QUESTION, **options))
    elif way == "achat":
        await llm.achat(MESSAGES, **options)
    else:
        await _consumed(await llm.astream_complete(QUESTION, **options))


def _ways(call, *names):
    return {name: lambda engine, name=name, **options: call(engine, name, **options) for name in names}


WAYS = {
    "batch": _langchain_batch,
    **_ways(_langchain, "invoke", "stream", "ainvoke", "astream"),
    **_ways(_llama_index, "chat", "stream_complete", "achat", "astream_complete"),
}
in_every_way = pytest.mark.parametrize("call", WAYS.values(), ids=list(WAYS))
in_one_way_each = pytest.mark.parametrize("call", [WAYS["invoke"], WAYS["chat"]], ids=["LangChain", "LlamaIndex"])


def raising(engine, error):
    def prepare(*_):
        raise error

    engine._answering.prepare = prepare


@in_every_way
async def test_the_engines_settings_have_the_names_of_the_integration(engine, call):
    what = f"{setting('max_new_tokens', 9)} is too few for {setting('constraint')}"
    remedy = [f"raise {setting('max_new_tokens')}", f"pass {setting('allow_untrained', True)}", "ask for less"]
    raising(engine, InputError(what, remedy=remedy))
    with pytest.raises(InputError) as refused:
        await call(engine)
    assert str(refused.value) == "max_tokens=9 is too few for response_format; raise max_tokens, or ask for less"


@in_every_way
async def test_so_they_have_when_langchain_gets_an_error_of_its_own(engine, call):
    raising(engine, WindowError("the last turn is too long", remedy=f"lower {setting('max_new_tokens')}"))
    with pytest.raises((ContextOverflowError, WindowError)) as refused:
        await call(engine)
    assert str(refused.value) == "the last turn is too long; lower max_tokens"


def test_files_that_cannot_be_read_are_not_to_be_skipped_where_nothing_skips_them(engine, tmp_path):
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    path = str(tmp_path / "broken.pdf")
    calls = [
        lambda: read_documents(path),
        lambda: ChatSharedLLM(engine=engine).with_documents(path),
        lambda: ChatSharedLLM(engine=engine).invoke(QUESTION, documents=path),
        lambda: SharedLLM(engine=engine).with_documents(path),
        lambda: SharedLLM(engine=engine).chat(MESSAGES, documents=path),
        lambda: SharedLLMQueryEngine.from_documents(path, SharedLLM(engine=engine)),
    ]
    for call in calls:
        with pytest.raises(SharedLLMError, match=r"broken\.pdf") as refused:
            call()
        assert "on_error" not in str(refused.value)


@in_one_way_each
async def test_a_too_large_max_tokens_is_named_so(engine, call):
    with pytest.raises((ContextOverflowError, WindowError), match=r"\bmax_tokens\b") as refused:
        await call(engine, max_tokens=5_000)
    assert "max_new_tokens" not in str(refused.value)


@in_one_way_each
async def test_a_max_tokens_that_is_no_number_of_tokens_is_named_so(engine, call):
    with pytest.raises(InputError, match=r"max_tokens=0") as refused:
        await call(engine, max_tokens=0)
    assert "max_new_tokens" not in str(refused.value)


@in_one_way_each
async def test_a_max_tokens_too_small_for_a_response_format_is_named_so(engine, call):
    with pytest.raises(InputError, match=r"max_tokens=1 is too few") as refused:
        await call(engine, max_tokens=1, response_format=SCHEMA)
    assert "max_new_tokens" not in str(refused.value)


@in_one_way_each
async def test_an_untrained_model_offers_nothing_that_the_integration_has_not(tmp_path, call):
    folder = tiny_engine.make_checkpoint(tmp_path, trained=False)
    untrained = tiny_engine.make_engine(folder, reading="injected")
    with pytest.raises(UntrainedInjectionError, match="load a trained one") as refused:
        await call(untrained, documents=[Document(tiny_engine.words(60), id="a")])
    assert "allow_untrained" not in str(refused.value)


def test_an_error_outside_the_integrations_keeps_the_engines_names(engine):
    with pytest.raises(InputError, match="max_new_tokens=1 is too few"):
        engine.ask(QUESTION, max_new_tokens=1, constraint=Constraint.json_schema({"type": "object"}))

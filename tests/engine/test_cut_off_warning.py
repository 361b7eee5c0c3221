"""Answers that the default token budget cuts off: one warning per process and model, in the words of the interface."""

import asyncio
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core.base.llms.types import ChatMessage

from sharedllm_core import CutOffWarning
from sharedllm_core.engine import cut_off_warning
from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.llama_index import SharedLLM
from tests import tiny_engine
from tests.scripted import writing
from tests.thinking_templates import R1, scripted_engine

QUESTION = "Who signed?"
MESSAGES = [ChatMessage(role="user", content=QUESTION)]
LONG = (tiny_engine.words(600),)
DEFAULT = 128  # a quarter of the tiny engine's window


@pytest.fixture(autouse=True)
def _new_process(monkeypatch):
    """As in a process that has not warned yet."""
    monkeypatch.setattr(cut_off_warning, "_warned_models", set())


def warned(call):
    """The messages of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if issubclass(one.category, CutOffWarning)]


def streamed(engine):
    stream = engine.stream(QUESTION)
    list(stream)
    assert stream.answer.finish_reason == "length"


async def _taken(stream):
    return [piece async for piece in stream]


async def _awaited_stream(engine):
    return await _taken(await SharedLLM(engine=engine).astream_complete(QUESTION))


WAYS = {
    "ask": ("max_new_tokens", lambda engine: engine.ask(QUESTION)),
    "ask_batch": ("max_new_tokens", lambda engine: engine.ask_batch([QUESTION] * 3)),
    "stream": ("max_new_tokens", streamed),
    "aask": ("max_new_tokens", lambda engine: asyncio.run(engine.aask(QUESTION))),
    "astream": ("max_new_tokens", lambda engine: asyncio.run(_taken(engine.astream(QUESTION)))),
    "LangChain invoke": ("max_tokens", lambda engine: ChatSharedLLM(engine=engine).invoke(QUESTION)),
    "LangChain batch": ("max_tokens", lambda engine: ChatSharedLLM(engine=engine).batch([QUESTION] * 3)),
    "LangChain stream": ("max_tokens", lambda engine: list(ChatSharedLLM(engine=engine).stream(QUESTION))),
    "LangChain ainvoke": ("max_tokens", lambda engine: asyncio.run(ChatSharedLLM(engine=engine).ainvoke(QUESTION))),
    "LangChain astream": (
        "max_tokens",
        lambda engine: asyncio.run(_taken(ChatSharedLLM(engine=engine).astream(QUESTION))),
    ),
    "LlamaIndex chat": ("max_tokens", lambda engine: SharedLLM(engine=engine).chat(MESSAGES)),
    "LlamaIndex stream": ("max_tokens", lambda engine: list(SharedLLM(engine=engine).stream_chat(MESSAGES))),
    "LlamaIndex achat": ("max_tokens", lambda engine: asyncio.run(SharedLLM(engine=engine).achat(MESSAGES))),
    "LlamaIndex astream": ("max_tokens", lambda engine: asyncio.run(_awaited_stream(engine))),
}


@pytest.mark.parametrize(("name", "use"), WAYS.values(), ids=list(WAYS))
def test_the_first_answer_that_is_cut_off_names_the_budget_as_it_is_called_there(engine, name, use):
    with writing(engine, LONG):
        (message,) = warned(lambda: use(engine))
    assert message == (
        f"an answer of the model model was cut off after {DEFAULT} tokens, the default of {name}; raise {name}"
    )
    with writing(engine, LONG):
        assert warned(lambda: use(engine)) == []


def test_a_budget_that_was_chosen_is_no_warning(engine):
    with writing(engine, LONG):
        assert warned(lambda: engine.ask(QUESTION, max_new_tokens=1)) == []
        assert warned(lambda: ChatSharedLLM(engine=engine, max_tokens=3).invoke(QUESTION)) == []
        assert warned(lambda: SharedLLM(engine=engine).complete(QUESTION, max_tokens=DEFAULT)) == []


def test_an_answer_that_ends_or_is_stopped_is_no_warning(engine):
    with writing(engine, ("The tenant signed.",)):
        assert warned(lambda: engine.ask(QUESTION)) == []
    with writing(engine, LONG):
        assert warned(lambda: engine.ask(QUESTION, stop=LONG[0][200:220])) == []
        assert warned(lambda: engine.ask(QUESTION, cancelled=tiny_engine.SetAfter(5))) == []


def test_each_model_has_a_warning_of_its_own(checkpoints):
    engines = [tiny_engine.make_engine(checkpoint) for checkpoint in checkpoints.values()]
    names = [engine.model_name for engine in engines]
    assert len(set(names)) == 2
    for engine, name in zip(engines, names, strict=True):
        with writing(engine, LONG):
            (message,) = warned(lambda engine=engine: engine.ask(QUESTION))
        assert f"of the model {name} " in message


def test_engines_on_one_model_share_its_warning(engine):
    other = tiny_engine.make_engine_like(engine)
    with writing(engine, LONG):
        assert len(warned(lambda: (engine.ask(QUESTION), other.ask(QUESTION)))) == 1


def test_many_threads_get_one_warning(engine):
    def call():
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: engine.ask(QUESTION), range(4)))

    with writing(engine, LONG):
        assert len(warned(call)) == 1


def test_thoughts_that_use_up_a_budget_are_a_warning_also_where_it_was_chosen():
    engine = scripted_engine(R1, "The lease says ninety days.\n</think>\n\nNinety days.")
    expected = "was still thinking after 4 tokens, so its answer has no text; raise max_new_tokens"
    (message,) = warned(lambda: engine.ask(QUESTION, max_new_tokens=4))
    assert message.endswith(expected)
    cut_off_warning._warned_models.clear()
    (message,) = warned(lambda: ChatSharedLLM(engine=engine, max_tokens=4).invoke(QUESTION))
    assert message.endswith(expected.replace("max_new_tokens", "max_tokens"))
    cut_off_warning._warned_models.clear()
    assert warned(lambda: engine.ask(QUESTION)) == []


def test_a_filter_that_raises_raises_each_time(engine):
    with warnings.catch_warnings(), writing(engine, LONG):
        warnings.simplefilter("error", CutOffWarning)
        for call in (engine.ask, ChatSharedLLM(engine=engine).invoke):
            with pytest.raises(CutOffWarning, match="was cut off"):
                call(QUESTION)

"""An engine that is closed ends its threads, and lets go of nothing that it shares."""

import asyncio
import threading

import pytest

from sharedllm_core import InputError
from tests import tiny_engine
from tests.tiny_engine import BOTH_READINGS

ASKED = {"max_new_tokens": 4, "num_evidence": 0}


def engine_threads():
    return [
        thread for thread in threading.enumerate() if thread.name.startswith(("sharedllm-engine", "sharedllm-cache"))
    ]


@BOTH_READINGS
def test_a_with_block_ends_the_threads_of_async_calls_and_cache_writers(checkpoint):
    before = set(engine_threads())
    with tiny_engine.make_engine(checkpoint) as engine:
        answer = asyncio.run(engine.aask("Who signed?", tiny_engine.documents(2), **ASKED))
        assert answer.usage.completion_tokens
        assert set(engine_threads()) - before
    assert not set(engine_threads()) - before


@BOTH_READINGS
@pytest.mark.parametrize(
    "call",
    [
        lambda engine, library: engine.ask("Who signed?", library),
        lambda engine, library: engine.ask("Who signed?"),
        lambda engine, library: engine.ask_batch(["Who signed?"], library),
        lambda engine, library: engine.stream("Who signed?", library),
        lambda engine, library: engine.read(library),
        lambda engine, library: engine.library(library.documents),
        lambda engine, library: engine.past_context("Who signed?", library),
        lambda engine, library: engine.inspect("Who signed?", library),
    ],
)
def test_a_closed_engine_says_so(checkpoint, call):
    engine = tiny_engine.make_engine(checkpoint)
    library = engine.library(tiny_engine.documents(1))
    engine.close()
    engine.close()
    with pytest.raises(InputError, match="the engine is closed; make another one"):
        call(engine, library)


@BOTH_READINGS
def test_closing_ends_a_stream_within_one_token_and_leaves_other_engines_open(checkpoint):
    engine = tiny_engine.make_engine(checkpoint)
    other = tiny_engine.make_engine_like(engine)
    stream = engine.stream("Who signed?", tiny_engine.documents(2), max_new_tokens=200, temperature=5, seed=1)
    next(stream)
    engine.close()
    list(stream)
    assert stream.answer.finish_reason == "cancelled"
    assert other.ask("Who signed?", **ASKED).finish_reason in {"length", "stop"}


@BOTH_READINGS
async def test_closing_cancels_a_question_that_waits(checkpoint):
    engine = tiny_engine.make_engine(checkpoint)
    with engine._lock:
        task = asyncio.create_task(engine.aask("Who signed?", max_new_tokens=200))
        await asyncio.sleep(0.1)
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        await asyncio.sleep(0.1)
    await closing
    assert (await task).finish_reason == "cancelled"

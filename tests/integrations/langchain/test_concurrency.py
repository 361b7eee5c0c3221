"""Calls beside each other: given up, late, on an event loop, of several caches, and with one that is wrong."""

import asyncio
import gc
import threading
import time
import weakref

import pytest
import torch
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import HumanMessage

from sharedllm_core import Document, InputError
from sharedllm_core.engine.fingerprint import hash_weights
from sharedllm_core.text.documents import read_documents
from sharedllm_integrations._shared import document_set
from sharedllm_integrations._shared.chunk_cache import ChunkCache
from sharedllm_integrations._shared.document_set import text_set
from sharedllm_integrations._shared.engines import shared_engine
from sharedllm_integrations.langchain import ChatSharedLLM
from tests import tiny, tiny_engine

from .async_calls import EVERY_ASYNC_CALL, QUESTION

QUESTIONS = [f"{QUESTION} {word}" for word in tiny_engine.WORDS[:8]]


def recorded(engine, name):
    """What each call of a method of the engine gave, or `None` while it runs."""
    method, given = getattr(engine, name), []

    def recording(*args, **kwargs):
        number = len(given)
        given.append(None)
        given[number] = method(*args, **kwargs)
        return given[number]

    setattr(engine, name, recording)
    return given


# ---------------------------------------------------------------------------------------------- given up, and late


async def test_calls_that_are_all_given_up_stop_the_model_for_all_of_them(llm):
    answers = recorded(llm.engine, "ask")
    tasks = [asyncio.create_task(llm.ainvoke(question, max_tokens=1800)) for question in QUESTIONS]
    while not answers:
        await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await llm.ainvoke(QUESTION, max_tokens=1)
    async with asyncio.timeout(60):
        while None in answers:  # the threads of given-up calls end on their own
            await asyncio.sleep(0.01)
    *given_up, last = answers
    assert {answer.finish_reason for answer in given_up} == {"cancelled"}
    assert last.finish_reason != "cancelled"


async def test_one_call_of_many_that_is_still_wanted_is_answered(llm):
    tasks = [asyncio.create_task(llm.ainvoke(question)) for question in QUESTIONS]
    await asyncio.sleep(0)
    for task in tasks[1:]:
        task.cancel()
    wanted, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert wanted.content == llm.invoke(QUESTIONS[0]).content
    assert any(isinstance(other, asyncio.CancelledError) for other in others)


def test_a_stream_keeps_its_timeout_while_nothing_comes(llm):
    held, enough = threading.Event(), threading.Event()

    def hold():
        with llm.engine._lock:
            held.set()
            enough.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"within timeout=0\.2"):
        list(llm.stream(QUESTION, timeout=0.2))
    took = time.monotonic() - began
    enough.set()
    holder.join()
    assert took < 10
    assert list(llm.stream(QUESTION, timeout=60)), "and one in time is not disturbed"


# ---------------------------------------------------------------------------------------------- several caches


def test_models_with_caches_of_their_own_are_decoded_together(folder, rows_of_steps):
    caches = [tiny_engine.memory_cache(), tiny_engine.memory_cache()]
    models = [ChatSharedLLM(model=str(folder), tree_cache=cache, max_tokens=12) for cache in caches]
    expected = [message.content for message in models[0].batch(QUESTIONS)]
    found = {}

    def ask(number):
        found[number] = [message.content for message in models[number].batch(QUESTIONS[:3])]

    rows_of_steps.clear()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: expected[:3], 1: expected[:3]}
    assert max(rows_of_steps) > 3, "more than one model asked"


def test_engines_of_several_caches_share_the_model_and_nothing_else(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SHAREDLLM_CACHE_DIR", str(tmp_path))
    first, second = tiny_engine.memory_cache(), tiny_engine.memory_cache()
    engines = [shared_engine(str(folder), cache) for cache in (first, second, None)]
    assert [shared_engine(str(folder), cache) for cache in (first, second, None)] == engines
    assert [engine.cache for engine in engines[:2]] == [first, second]
    assert engines[2].cache not in (first, second), "without a cache it is the user's, not another's"
    assert len({id(engine.model) for engine in engines}) == 1


def test_a_cache_that_nobody_holds_is_let_go_of(folder):
    cache = tiny_engine.memory_cache()
    ChatSharedLLM(model=str(folder), tree_cache=cache, max_tokens=1).invoke(QUESTION)
    gone = weakref.ref(cache)
    del cache
    deadline = time.monotonic() + 10
    while gone() is not None and time.monotonic() < deadline:  # the thread that served may still let go of it
        time.sleep(0.05)
        gc.collect()
    assert gone() is None


# ---------------------------------------------------------------------------------------------- the event loop


@EVERY_ASYNC_CALL
@pytest.mark.parametrize("place", ["the model", "the call", "bound"])
@pytest.mark.parametrize("with_cache", [False, True], ids=["no cache", "LangChain's cache"])
async def test_documents_and_weights_are_read_and_hashed_beside_the_event_loop(
    engine, tmp_path, monkeypatch, call, place, with_cache
):
    (tmp_path / "a.txt").write_text(tiny_engine.words(60))
    on_loop, seen = threading.get_ident(), []

    def noted(what):
        def noting(*args):
            seen.append((what.__name__, threading.get_ident() == on_loop))
            return what(*args)

        return noting

    monkeypatch.setattr(document_set, "read_files", noted(read_documents))
    monkeypatch.setattr("sharedllm_core.engine.shared_model.hash_weights", noted(hash_weights))
    given = {"documents": str(tmp_path / "a.txt")}
    llm = ChatSharedLLM(engine=engine, max_tokens=2, **(given if place == "the model" else {}))
    set_llm_cache(InMemoryCache() if with_cache else None)
    try:
        await call(llm.bind(**given) if place == "bound" else llm, **(given if place == "the call" else {}))
    finally:
        set_llm_cache(None)
    assert sorted(seen) == [("hash_weights", False), ("read_documents", False)], "once, and beside the loop"


async def test_calls_that_arrive_together_read_their_documents_once(engine, tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text(tiny_engine.words(60))
    read, original = [], document_set.read_files
    monkeypatch.setattr(document_set, "read_files", lambda source: read.append(source) or original(source))
    libraries = recorded(engine, "library")
    llm = ChatSharedLLM(engine=engine, max_tokens=2, documents=str(tmp_path / "a.txt"))
    await asyncio.gather(*(llm.ainvoke(question) for question in QUESTIONS))
    assert (len(read), len(libraries)) == (1, 1)


# ---------------------------------------------------------------------------------------------- LangChain's cache


def test_langchains_cache_tells_engines_apart_that_read_alike_and_answer_otherwise(folder):
    first, second = tiny_engine.make_engine(folder), tiny_engine.make_engine(folder)
    torch.manual_seed(1)  # whatever a test before this one left
    tiny.randomise(second.model.injection)
    documents = [Document(tiny_engine.words(300), id="a")]
    expected = [engine.ask(QUESTION, documents, max_new_tokens=12).text for engine in (first, second)]
    assert expected[0] != expected[1]
    assert first.fingerprint == second.fingerprint, "trees are the same"
    set_llm_cache(InMemoryCache())
    try:
        models = [ChatSharedLLM(engine=engine, max_tokens=12, documents=documents) for engine in (first, second)]
        assert [model.invoke(QUESTION).content for model in models * 2] == expected * 2
    finally:
        set_llm_cache(None)


# ---------------------------------------------------------------------------------------------- batches


def test_a_question_that_cannot_be_answered_leaves_the_others_side_by_side(llm, rows_of_steps):
    results = llm.batch([*QUESTIONS[:3], "", *QUESTIONS[3:6]], return_exceptions=True)
    assert isinstance(results.pop(3), InputError)
    assert [message.content for message in results] == [llm.invoke(text).content for text in QUESTIONS[:6]]
    assert max(rows_of_steps) > 1


def test_generate_of_many_prompts_opens_few_threads(llm):
    before, seen, prepare = threading.active_count(), [], llm.engine._answering.prepare

    def counting(*args):
        seen.append(threading.active_count() - before)
        return prepare(*args)

    llm.engine._answering.prepare = counting
    result = llm.generate([[HumanMessage(f"{QUESTION} {number}")] for number in range(60)], max_tokens=1)
    assert len(result.generations) == 60
    assert max(seen) <= 16 + 8 + 3  # LangChain's own, those that wait for answers, and the one that decodes


# ---------------------------------------------------------------------------------------------- stuffed documents


def test_stuffed_documents_in_another_order_are_not_tokenised_again(llm):
    bodies = ["\n\n".join(tiny_engine.words(45, seed=7000 + 100 * i + j) for j in range(20)) for i in range(6)]
    texts = [f"# Chapter {i}\n\n{body}" for i, body in enumerate(bodies)]
    encoded, encode_all = [], llm.engine.tokenizer.encode_all
    llm.engine.tokenizer.encode_all = lambda texts: encoded.extend(texts) or encode_all(texts)

    def asked(texts):
        encoded.clear()
        stuffed = "\n".join(f"<document>\n{text}\n</document>" for text in texts)
        llm.invoke(f"Use this.\n<documents>\n{stuffed}\n</documents>\n\nQuestion: {QUESTION}")
        return sum(len(text) for text in encoded)

    assert asked(texts) > sum(map(len, bodies))
    assert asked(texts[::-1]) < 200
    assert asked(texts[2:] + texts[:2]) < 200


def test_texts_that_are_known_already_make_the_same_library(engine):
    texts = [tiny_engine.words(200, seed=seed) for seed in (0, 1, 0, 2)] + [""]
    documents = [Document(text, id=f"prompt {number}") for number, text in enumerate(texts)]
    known = ChunkCache()
    known.library(engine, documents[1:2])
    for order in (documents, documents[::-1]):
        expected, found = engine.library(order), known.library(engine, order)
        assert (found.documents, found.fingerprint) == (expected.documents, expected.fingerprint)
        assert [(chunk.document, chunk.ids.tolist()) for chunk in found.chunks] == [
            (chunk.document, chunk.ids.tolist()) for chunk in expected.chunks
        ]
        assert engine.ask(QUESTION, found).text == engine.ask(QUESTION, expected).text


def test_known_texts_are_forgotten_when_they_are_too_many(engine):
    known = ChunkCache(max_characters=3_000)
    documents = [Document(tiny_engine.words(200, seed=seed), id=str(seed)) for seed in range(6)]
    for document in documents:
        known.library(engine, [document])
    kept = [text for text, _ in known._chunks]
    assert kept == [document.text for document in documents[-len(kept) :]]
    assert 0 < sum(map(len, kept)) == known._characters <= 3_000


def test_a_set_of_known_texts_is_a_document_set_like_any_other(engine):
    made = text_set([Document("one text", id="a"), Document("another", id="b")])
    assert [(document.id, document.text) for document in made.documents] == [("a", "one text"), ("b", "another")]
    assert made.fingerprint == engine.library(list(made.documents)).fingerprint

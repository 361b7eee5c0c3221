"""LangChain's cache of answers: weights that were replaced answer anew, unchanged ones from the cache."""

import hashlib
import shutil
import sqlite3
import threading

import pytest
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.load import dumps, loads

from sharedllm_core.engine import file_digests
from sharedllm_integrations._shared.engines import shared_engine
from sharedllm_integrations.langchain import ChatSharedLLM
from tests import tiny_engine

from .async_calls import EVERY_ASYNC_CALL, QUESTION

ANOTHER_PROCESS = """
from langchain_core.globals import set_llm_cache
from pathlib import Path
from sharedllm_integrations.langchain import ChatSharedLLM
from tests.integrations.langchain.test_answer_cache import FileCache, replace
cache = FileCache({file!r})
set_llm_cache(cache)
llm = ChatSharedLLM(model={model!r}, max_tokens=12, tree_cache=None)
print(llm.invoke({question!r}).content.encode(), cache.hits)
replace(Path({model!r}), Path({other!r}))
print(llm.invoke({question!r}).content.encode(), cache.hits)
print(ChatSharedLLM(model="somebody/not-here")._identifying_params["fingerprint"])
"""


class FileCache(BaseCache):
    """A cache in a SQLite file, as langchain-community's, that counts its hits."""

    def __init__(self, file):
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._connection.execute("create table if not exists answers (prompt, llm, answer)")
        self.hits = 0

    def lookup(self, prompt, llm_string):
        query = "select answer from answers where prompt = ? and llm = ?"
        found = self._connection.execute(query, (prompt, llm_string)).fetchone()
        self.hits += found is not None
        return None if found is None else loads(found[0], allowed_objects="core")

    def update(self, prompt, llm_string, return_val):
        self._connection.execute("insert into answers values (?, ?, ?)", (prompt, llm_string, dumps(return_val)))

    def clear(self, **_):
        self._connection.execute("delete from answers")


class CountingCache(InMemoryCache):
    """LangChain's cache in memory, with its hits."""

    def __init__(self):
        super().__init__()
        self.hits = 0

    def lookup(self, prompt, llm_string):
        found = super().lookup(prompt, llm_string)
        self.hits += found is not None
        return found


@pytest.fixture(params=["memory", "file"])
def cache(request, tmp_path):
    """The cache of answers in use."""
    made = CountingCache() if request.param == "memory" else FileCache(tmp_path / "answers.sqlite")
    set_llm_cache(made)
    yield made
    set_llm_cache(None)


@pytest.fixture(scope="session")
def versions(tmp_path_factory):
    """Two versions of one checkpoint, which differ in their weights alone."""
    folder = tmp_path_factory.mktemp("versions")
    return [
        tiny_engine.make_checkpoint(folder / str(seed), seed=seed, max_position_embeddings=2048) for seed in range(2)
    ]


@pytest.fixture
def folder(versions, tmp_path):
    """A folder that holds the first version."""
    return shutil.copytree(versions[0], tmp_path / "in use")


def replace(folder, version):
    for file in version.iterdir():
        shutil.copy(file, folder / file.name)


def new_answer(folder):
    return tiny_engine.make_engine(folder).ask(QUESTION, max_new_tokens=12).text


def test_weights_that_were_replaced_in_their_folder_answer_anew(cache, folder, versions):
    expected = [new_answer(version) for version in versions]
    assert expected[0] != expected[1]
    llm = ChatSharedLLM(model=str(folder), max_tokens=12, tree_cache=tiny_engine.memory_cache())
    assert [llm.invoke(QUESTION).content for _ in range(2)] == expected[:1] * 2
    assert cache.hits == 1
    replace(folder, versions[1])
    assert [llm.invoke(QUESTION).content for _ in range(2)] == expected[1:] * 2
    assert cache.hits == 2
    replace(folder, versions[0])
    assert llm.invoke(QUESTION).content == expected[0]
    assert cache.hits == 3, "the same weights as before"


def test_a_model_that_a_call_names_is_known_by_its_own_weights(cache, folder, versions):
    llm = ChatSharedLLM(max_tokens=12, tree_cache=tiny_engine.memory_cache())
    for version in versions:
        replace(folder, version)
        answers = [llm.invoke(QUESTION, model=str(folder)).content for _ in range(2)]
        assert answers == [new_answer(version)] * 2
    assert cache.hits == 2


@pytest.mark.parametrize("cache", ["file"], indirect=True)
def test_another_process_takes_the_answers_of_the_same_weights_alone(cache, folder, versions, tmp_path):
    llm = ChatSharedLLM(model=str(folder), max_tokens=12, tree_cache=tiny_engine.memory_cache())
    first = llm.invoke(QUESTION).content
    assert cache.hits == 0
    file = str(tmp_path / "answers.sqlite")
    code = ANOTHER_PROCESS.format(file=file, model=str(folder), other=str(versions[1]), question=QUESTION)
    done = tiny_engine.run_python(code)
    assert done.returncode == 0, done.stderr
    same, replaced, unknown = done.stdout.splitlines()
    assert same == f"{first.encode()} 1"
    assert replaced == f"{new_answer(versions[1]).encode()} 1", "it was not taken from the cache"
    not_here = ChatSharedLLM(model="somebody/not-here")._identifying_params["fingerprint"]
    assert unknown.startswith("unknown-")
    assert not_here.startswith("unknown-")
    assert unknown != not_here, "a model whose weights nobody has seen has no answers of another process"


def test_the_parameters_that_identify_a_model_load_and_download_nothing(folder, monkeypatch):
    monkeypatch.setattr("sharedllm_core.SharedLLMEngine.from_pretrained", None)
    for model in (None, "reader", "smollm2", str(folder), "somebody/not-here"):
        parameters = ChatSharedLLM(model=model)._identifying_params
        assert parameters["fingerprint"]
        assert parameters == ChatSharedLLM(model=model)._identifying_params


def test_the_package_and_its_short_name_are_one_model_in_the_cache():
    assert ChatSharedLLM()._get_llm_string() == ChatSharedLLM(model="reader")._get_llm_string()


@pytest.mark.parametrize("cache", ["memory"], indirect=True)
@EVERY_ASYNC_CALL
@pytest.mark.parametrize("place", ["the model", "the call"])
async def test_files_are_hashed_beside_the_event_loop(cache, folder, monkeypatch, call, place):  # noqa: ARG001
    monkeypatch.setattr(file_digests, "_known", {})
    on_loop, seen, digest = threading.get_ident(), [], hashlib.file_digest

    def recording(*args):
        seen.append(threading.get_ident() == on_loop)
        return digest(*args)

    monkeypatch.setattr(hashlib, "file_digest", recording)
    model = {"model": str(folder)}
    llm = ChatSharedLLM(max_tokens=2, tree_cache=tiny_engine.memory_cache(), **(model if place == "the model" else {}))
    await call(llm, **(model if place == "the call" else {}))
    assert seen
    assert not any(seen)


def test_a_checkpoint_that_is_deleted_while_it_is_in_use_answers_on(folder):
    cache = tiny_engine.memory_cache()
    engine = shared_engine(str(folder), cache)
    shutil.rmtree(folder)
    assert shared_engine(str(folder), cache) is engine


def test_a_checkpoint_is_loaded_once_until_it_is_replaced(folder, versions):
    caches = [tiny_engine.memory_cache(), tiny_engine.memory_cache()]
    old = [shared_engine(str(folder), cache) for cache in caches]
    replace(folder, versions[1])
    new = [shared_engine(str(folder), cache) for cache in caches * 2]
    assert new[:2] == new[2:]
    assert len({id(engine.model) for engine in new}) == 1
    assert new[0].answer_fingerprint != old[0].answer_fingerprint

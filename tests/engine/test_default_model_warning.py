"""The model of the package is used without being named: one warning per process says what it is."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import pytest

from sharedllm_core import DefaultModelWarning, SharedLLMEngine
from sharedllm_core.engine import default_model_warning, model_names
from sharedllm_core.engine.default_model_warning import warn_default_model
from sharedllm_core.engine.model_names import READER, checkpoint_location
from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.llama_index import SharedLLM
from tests import tiny_engine
from tests.lookup_model import LOOKUP_MODEL


@pytest.fixture(autouse=True)
def _new_process(monkeypatch):
    """As in a process that has not warned yet; a smaller model stands in for the default one."""
    monkeypatch.setattr(default_model_warning, "_given", Lock())
    monkeypatch.setattr(model_names, "DEFAULT_MODEL", Path(LOOKUP_MODEL))


def warned(call):
    """The messages of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if issubclass(one.category, DefaultModelWarning)]


def load(*name):
    return SharedLLMEngine.from_pretrained(*name, cache=tiny_engine.memory_cache())


USES = {
    "engine": ("name", load),
    "LangChain": ("model", lambda: ChatSharedLLM(max_tokens=1).invoke("Who?")),
    "LlamaIndex": ("model", lambda: SharedLLM(max_tokens=1).complete("Who?")),
}


@pytest.mark.parametrize(("parameter", "use"), USES.values(), ids=list(USES))
def test_the_first_use_says_what_the_model_is_and_how_to_name_another(parameter, use):
    (message,) = warned(use)
    assert "a model of 135 million parameters" in message
    assert f"name another with {parameter}, by the folder or hub id" in message
    assert f"name this one with {parameter}='reader'" in message
    assert warned(use) == []


def test_a_model_that_is_named_is_no_warning(checkpoint):
    assert warned(lambda: load(READER)) == []
    assert warned(lambda: load(checkpoint)) == []
    assert warned(lambda: ChatSharedLLM(model=READER, max_tokens=1).invoke("Who?")) == []
    assert warned(lambda: ChatSharedLLM(engine=tiny_engine.make_engine(checkpoint), max_tokens=1).invoke("Who?")) == []
    assert warned(lambda: SharedLLM().metadata) == [], "nothing is loaded yet"


def test_many_threads_get_one_warning():
    def call():
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda _: warn_default_model(), range(64)))

    assert len(warned(call)) == 1


def test_a_filter_that_raises_raises_each_time():
    with warnings.catch_warnings():
        warnings.simplefilter("error", DefaultModelWarning)
        for _ in range(2):
            with pytest.raises(DefaultModelWarning, match="no model was named"):
                load()


def test_a_filter_ignores_it_by_its_public_name():
    code = """
import warnings
from sharedllm_core import DefaultModelWarning, SharedLLMEngine
warnings.simplefilter("error")
warnings.simplefilter("ignore", DefaultModelWarning)
from sharedllm_core.engine.default_model_warning import warn_default_model
warn_default_model()
"""
    ran = tiny_engine.run_python(code)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_folder_of_that_name_comes_first(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoint_location(READER) == checkpoint_location(None) == Path(LOOKUP_MODEL)
    (tmp_path / READER).symlink_to(checkpoint)
    assert checkpoint_location(READER) == READER
    assert load(READER).fingerprint == tiny_engine.make_engine(checkpoint).fingerprint

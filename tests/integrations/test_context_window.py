"""Both integrations report the context window of their model's configuration, and load no weights for it."""

import pytest
from transformers import LlamaConfig

from sharedllm_core import Document, SharedLLMConfig, SharedLLMEngine, WindowError
from sharedllm_core.engine.model_summary import model_summary
from sharedllm_core.model.configuration import SharedLLMModelConfig
from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.llama_index import SharedLLM
from tests import tiny_engine
from tests.real_models import smollm2_gguf

REPORTED = {
    "LangChain": lambda **options: ChatSharedLLM(**options).profile["max_input_tokens"],
    "LlamaIndex": lambda **options: SharedLLM(**options).metadata.context_window,
}
both = pytest.mark.parametrize("reported", REPORTED.values(), ids=list(REPORTED))


def configured(folder, window=512, chunk=32, **more):
    """A folder with a configuration and no weights."""
    base = LlamaConfig(max_position_embeddings=window, num_hidden_layers=4)
    method = SharedLLMConfig(injection_layers=2, chunk_tokens=chunk)
    SharedLLMModelConfig(text_config=base, method=method, **more).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def _no_weights(request, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("weights are loaded")

    if "engine" not in request.fixturenames:
        monkeypatch.setattr(SharedLLMEngine, "from_pretrained", refuse)


@both
@pytest.mark.parametrize(("window", "chunk", "tokens"), [(512, 32, 16_384), (1024, 32, 32_768), (512, 64, 32_768)])
def test_it_changes_with_the_models_window_and_chunks(tmp_path, reported, window, chunk, tokens):
    assert reported(model=configured(tmp_path, window, chunk)) == tokens


@both
def test_a_figure_that_the_checkpoint_names_is_reported(tmp_path, reported):
    assert reported(model=configured(tmp_path, context_tokens=131_072)) == 131_072


@both
def test_the_default_model_has_the_window_of_its_base_before_it_is_loaded(reported):
    assert reported() == 8192


@both
def test_a_loaded_engine_reports_its_own(engine, reported):
    assert reported(engine=engine) == 2048 * tiny_engine.METHOD.chunk_tokens


@both
def test_a_model_without_injection_has_its_window(tmp_path, reported):
    LlamaConfig(max_position_embeddings=700).save_pretrained(tmp_path)
    assert reported(model=str(tmp_path)) == 700


@both
def test_a_model_that_only_quotes_has_its_window(tmp_path, engine, reported):
    folder = configured(tmp_path, window=512, context_tokens=131_072)
    assert reported(model=folder, reading="quoted") == 512
    quoting = SharedLLMEngine(engine.model, engine.tokenizer, cache=tiny_engine.memory_cache(), reading="quoted")
    assert reported(engine=quoting) == quoting.context_tokens == 2048


@both
def test_a_gguf_file_has_the_window_of_its_header(reported):
    assert reported(model=str(smollm2_gguf())) == 8192


def test_documents_longer_than_the_window_are_answered_from(engine):
    quoting = SharedLLMEngine(engine.model, engine.tokenizer, cache=tiny_engine.memory_cache(), reading="quoted")
    documents = [Document(tiny_engine.words(3000), id="a")]
    message = ChatSharedLLM(engine=quoting, max_tokens=2).invoke("Who paid the rent?", documents=documents)
    read = message.response_metadata["reading"]
    assert read["total_tokens"] > quoting.context_tokens > read["quoted_tokens"] > 0


def test_a_checkpoint_that_is_not_on_this_machine_has_none_yet(tmp_path):
    for name in ("nowhere/at-all", str(tmp_path / "nowhere"), str(tmp_path), str(tmp_path / "model.gguf")):
        assert model_summary(name) is None
        assert "max_input_tokens" not in ChatSharedLLM(model=name).profile
        assert "tool_calling" not in ChatSharedLLM(model=name).profile
        assert SharedLLM(model=name).metadata.context_window > 0


def test_llama_index_refuses_documents_only_above_a_window_that_was_set(engine):
    engine.model.config.context_tokens = 50
    documents = [Document(tiny_engine.words(200), id="a")]
    llm = SharedLLM(engine=engine, max_tokens=2)
    assert llm.metadata.context_window == 50
    assert llm.complete("What?", documents=documents).raw["usage"]["past_context_tokens"] > 50
    with pytest.raises(WindowError, match="context_window is 50"):
        llm.model_copy(update={"context_window": 50}).complete("What?", documents=documents)

"""Both integrations sample as the checkpoint's generation config says, unless a field or a call says otherwise."""

import pytest

from sharedllm_integrations.langchain import ChatSharedLLM
from sharedllm_integrations.llama_index import SharedLLM
from tests import tiny_engine

QUESTION = "What is the notice period?"
SETTINGS = {"do_sample": True, "temperature": 3.0, "top_k": 50, "repetition_penalty": 5.0}
GREEDY = {"temperature": 0, "repetition_penalty": 1}
TEXT = {
    "LangChain": lambda engine, arguments, **fields: (
        ChatSharedLLM(engine=engine, max_tokens=12, **fields).invoke(QUESTION, **arguments).text
    ),
    "LlamaIndex": lambda engine, arguments, **fields: (
        SharedLLM(engine=engine, max_tokens=12, **fields).complete(QUESTION, **arguments).text
    ),
}
both = pytest.mark.parametrize("text", TEXT.values(), ids=list(TEXT))


@pytest.fixture(scope="module")
def sampled(folder, tmp_path_factory):
    target = tmp_path_factory.mktemp("sampled") / "checkpoint"
    return tiny_engine.make_engine(tiny_engine.with_generation_config(folder, target, **SETTINGS))


@both
def test_answers_are_drawn_as_the_checkpoint_says(sampled, text):
    expected = sampled.ask(QUESTION, max_new_tokens=12, seed=4).text
    assert text(sampled, {"seed": 4}) == text(sampled, {}, seed=4) == expected
    assert len({text(sampled, {}) for _ in range(3)}) > 1


@both
def test_fields_and_arguments_win(sampled, engine, text):
    greedy = text(engine, {})
    assert text(sampled, {}, **GREEDY) == text(sampled, GREEDY) == greedy
    assert text(sampled, GREEDY, temperature=9.0) == greedy


def test_langsmith_sees_the_temperature_that_is_used(sampled, engine):
    def reported(**options):
        return ChatSharedLLM(**options)._get_ls_params().get("ls_temperature")

    assert reported(engine=sampled) == 3.0
    assert reported(engine=engine) == 0
    assert reported(engine=sampled, temperature=0.5) == 0.5
    assert reported(model="not/loaded") is None


def test_langchains_cache_tells_engines_that_sample_otherwise_apart(sampled, engine):
    keys = {str(ChatSharedLLM(engine=one)._identifying_params) for one in (sampled, engine)}
    assert len(keys) == 2

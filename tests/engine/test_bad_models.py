"""Models and settings that cannot work, as the engine, the command line and the integrations refuse them."""

import logging

import pytest
from transformers import AutoConfig, ByT5Tokenizer

from sharedllm_core import CheckpointError, ConfigError, InputError, SharedLLMEngine, TokenizerError, WindowError
from tests import tiny_engine, tiny_gguf
from tests.plain_families import make_plain

QUESTION = "What is the notice period?"
WINDOW = 512


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return make_plain("gpt2", tmp_path_factory.mktemp("gpt2"), window=WINDOW)


@pytest.fixture
def engine(gpt2):
    return make_engine(gpt2)


def make_engine(folder, **options):
    return SharedLLMEngine.from_pretrained(folder, cache=tiny_engine.memory_cache(), **options)


# ------------------------------------------------------------------------------------------------------ models


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("bert", r"is an encoder of type 'bert', and is no causal language model; give a model that"),
        ("t5", r"is an encoder-decoder of type 't5', and is no causal language model; give a model that"),
        ("nothing", r"is not a checkpoint: it has no config\.json; give a folder"),
        ("gguf", r"architecture 'novel'\) cannot be converted .*; use the model's checkpoint in safetensors"),
    ],
)
def test_what_is_no_causal_language_model_makes_no_engine(kind, fault, tmp_path):
    name = tmp_path
    if kind == "gguf":
        name = tiny_gguf.write(tmp_path / "model.gguf", architecture="novel")
    elif kind != "nothing":
        AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=fault):
        make_engine(name)


def test_a_tokenizer_without_offsets_makes_no_engine(gpt2):
    with pytest.raises(TokenizerError, match="ByT5Tokenizer gives no character offsets; load a fast tokenizer"):
        make_engine(gpt2, tokenizer=ByT5Tokenizer())


@pytest.mark.parametrize("reading", ["injected", "both"])
def test_a_family_that_cannot_be_injected_is_not_told_to_train(gpt2, reading):
    with pytest.raises(ConfigError) as raised:
        make_engine(gpt2, reading=reading)
    assert str(raised.value) == (
        f"reading={reading!r} needs a model with an injection, and this is a plain 'gpt2' model; use reading='quoted', "
        "or train an injection on a model of another family (llama, mistral, qwen2, qwen3)"
    )


def test_a_model_without_chat_template_is_asked_in_plain_text_and_the_log_says_so(tmp_path, caplog):
    folder = make_plain("olmo2", tmp_path)
    (folder / "chat_template.jinja").unlink()
    with caplog.at_level(logging.WARNING, "sharedllm_core"):
        engine = make_engine(folder)
        engine.with_cache(tiny_engine.memory_cache())
    (warned,) = [record.getMessage() for record in caplog.records]
    assert "has no chat template: messages are written as plain text, 'User: …' and 'Assistant:'" in warned
    prompt_tokens = engine.tokenizer.count(f"User: {QUESTION}\n\nAssistant:")
    assert engine.ask(QUESTION, max_new_tokens=4).usage.running_text_tokens == prompt_tokens
    assert engine.ask(QUESTION, tiny_engine.documents(1), max_new_tokens=4).reading.quoted_tokens > 0


# -------------------------------------------------------------------------------------------------- quote_tokens


@pytest.mark.parametrize("quote_tokens", [0, -1, 2.5, "100", True])
def test_an_engine_takes_whole_numbers_of_tokens_to_quote(gpt2, quote_tokens):
    with pytest.raises(InputError, match=rf"quote_tokens={quote_tokens!r} is not a whole number of at least 1"):
        make_engine(gpt2, quote_tokens=quote_tokens)


@pytest.mark.parametrize("quote_tokens", [-1, 2.5, "100"])
def test_a_question_takes_whole_numbers_of_tokens_to_quote(engine, quote_tokens):
    with pytest.raises(InputError, match=rf"quote_tokens={quote_tokens!r} is not a whole number of at least 0"):
        engine.ask(QUESTION, tiny_engine.documents(1), quote_tokens=quote_tokens)


def test_with_none_to_quote_the_documents_are_not_read_and_the_answer_says_so(engine):
    answer = engine.ask(QUESTION, tiny_engine.documents(2), max_new_tokens=4, quote_tokens=0)
    reading = answer.reading
    assert (reading.quote_budget, reading.quoted_tokens, answer.evidence) == (0, 0, ())
    assert reading.unread_tokens == reading.total_tokens > 0


def test_more_to_quote_than_the_window_holds_is_refused_and_never_lowered(gpt2, engine):
    with pytest.raises(WindowError) as raised:
        make_engine(gpt2, quote_tokens=WINDOW)
    assert str(raised.value) == (
        "quote_tokens=512 is more than can be quoted, and the model's window is 512 tokens; lower quote_tokens, or "
        "leave quote_tokens out to quote as much as fits"
    )
    documents = tiny_engine.documents(1)
    asked = {"max_new_tokens": 100, "quote_tokens": WINDOW - 100}
    for way in (engine.ask, engine.stream, lambda question, of, **options: engine.ask_batch([question], of, **options)):
        with pytest.raises(WindowError, match=r"quote_tokens=412 .* with 100 to generate, .* 512 .*max_new_tokens"):
            way(QUESTION, documents, **asked)


def test_the_budget_is_what_was_asked_for_or_what_the_window_leaves(engine):
    documents = tiny_engine.documents(30)
    asked = engine.ask(QUESTION, documents, max_new_tokens=8, quote_tokens=200)
    assert asked.reading.quote_budget == 200
    assert 0 < asked.reading.quoted_tokens <= 200
    default = engine.ask(QUESTION, documents, max_new_tokens=8)
    alone = engine.ask(QUESTION, max_new_tokens=8)
    assert alone.reading.quote_budget == 0
    assert default.reading.quote_budget == WINDOW - 8 - alone.usage.running_text_tokens
    assert 200 < default.reading.quoted_tokens <= default.reading.quote_budget
    long = engine.ask(f"{tiny_engine.words(60)} {QUESTION}", documents, max_new_tokens=8, quote_tokens=490)
    assert long.reading.quoted_tokens <= long.reading.quote_budget < 490

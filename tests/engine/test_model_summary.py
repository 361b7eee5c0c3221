"""What is known of a model without its weights is what its engine says."""

import json

import pytest

from sharedllm_core.engine.model_summary import model_summary
from tests import tiny_engine
from tests.engine.test_tools import HERMES
from tests.real_models import smollm2_folder, smollm2_gguf

CONFIG = {"model_type": "llama", "max_position_embeddings": 300}


def known(folder, **files):
    """The summary of a folder with these files of a tokenizer."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return model_summary(folder)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"tokenizer_config__json": "{}"}, False),
        ({"tokenizer_config__json": json.dumps({"chat_template": tiny_engine.CHAT})}, False),
        ({"tokenizer_config__json": json.dumps({"chat_template": HERMES})}, True),
        ({"tokenizer_config__json": json.dumps({"chat_template": [{"name": "tool_use", "template": HERMES}]})}, True),
        ({"tokenizer_config__json": "{}", "chat_template__jinja": HERMES}, True),
        ({"chat_template__json": json.dumps({"chat_template": HERMES})}, True),
        ({"tokenizer_config__json": "not JSON"}, None),
    ],
)
def test_a_model_calls_tools_if_its_chat_template_takes_them(tmp_path, files, expected):
    assert known(tmp_path, **files).calls_tools is expected


def test_an_engine_says_the_same(checkpoint):
    engine = tiny_engine.make_engine(checkpoint)
    assert engine.calls_tools is model_summary(checkpoint).calls_tools is False
    engine.tokenizer.tokenizer.chat_template = HERMES
    assert engine.calls_tools
    assert engine.context_tokens == model_summary(checkpoint).context_tokens


def test_a_gguf_file_and_its_converted_folder_are_the_same_model():
    summary = model_summary(smollm2_gguf())
    assert summary == model_summary(smollm2_folder())
    assert (summary.context_tokens, summary.calls_tools) == (8192, False)
    assert model_summary("smollm2") == summary


def test_an_adapter_has_the_chat_template_of_its_base(tmp_path):
    folder = tiny_engine.make_checkpoint(tmp_path)
    tiny_engine.make_engine(folder).model.save_adapter(tmp_path / "adapter")
    assert model_summary(tmp_path / "adapter").calls_tools is None
    (tmp_path / "base" / "chat_template.jinja").write_text(HERMES)
    (tmp_path / "adapter" / "config.json").touch()
    assert model_summary(tmp_path / "adapter").calls_tools


def test_a_damaged_file_is_unknown(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert model_summary(tmp_path / "model.gguf") is None
    (tmp_path / "config.json").write_text("{")
    assert model_summary(tmp_path) is None

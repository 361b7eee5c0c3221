"""The recipe of the embedded model runs, step by step, at a tiny size."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from sharedllm_core.errors import ConfigError
from sharedllm_core.training.config import TrainingConfig
from sharedllm_core.training.tasks import FillerTexts

RECIPE = Path(__file__).parents[2] / "examples" / "default_model"
SIZES = {
    "hidden_size": 16,
    "num_layers": 1,
    "num_heads": 2,
    "num_kv_heads": 2,
    "head_size": 8,
    "intermediate_size": 32,
    "window_tokens": 1024,
    "sequence_tokens": 640,
    "batch_size": 2,
    "steps": 4,
    "warmup_steps": 1,
    "bf16": False,
    "device": "cpu",
    "log_every": 1,
    "save_every": 2,
}


@pytest.fixture(scope="module")
def recipe():
    """Runs a step as a user does, but in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(RECIPE)

        def run(script, *arguments):
            patch.setattr(sys, "argv", [script, *map(str, arguments)])
            return runpy.run_path(str(RECIPE / script), run_name="__main__")

        yield run
    sys.modules.pop("sequences", None)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in FillerTexts(40)))
    return path


@pytest.fixture(scope="module")
def tokenizer_folder(recipe, texts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    recipe("tokenizer.py", texts, "--out", folder, "--vocabulary", 1200, "--tasks", 300)
    return folder


@pytest.fixture(scope="module")
def tokenizer(tokenizer_folder):
    return AutoTokenizer.from_pretrained(tokenizer_folder)


@pytest.fixture(scope="module")
def config(texts, tokenizer_folder):
    return {**SIZES, "tokenizer": str(tokenizer_folder), "texts": [str(texts)]}


@pytest.fixture(scope="module")
def trained(recipe, config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    train(recipe, config, folder / "run")
    return folder / "run"


def train(recipe, config, output):
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump({**config, "output": str(output)}))
    recipe("base.py", path)


def weights(folder):
    return (folder / "model" / "model.safetensors").read_bytes()


def log(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [
        {name: row.get(name) for name in ("step", "loss", "loss_text", "loss_answers")} for row in rows if "loss" in row
    ]


def test_the_same_texts_give_the_same_tokenizer(recipe, texts, tokenizer_folder, tmp_path):
    recipe("tokenizer.py", texts, "--out", tmp_path, "--vocabulary", 1200, "--tasks", 300)
    assert (tmp_path / "tokenizer.json").read_bytes() == (tokenizer_folder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    "text", ["A plain text.", " two  spaces ", "\n\nx = 1\n    y", "漢字 🙂 naïve\tTAB", "<|end|>"]
)
def test_every_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_an_answer_has_the_tokens_that_it_has_in_a_sentence(tokenizer):
    ids = tokenizer("Ask Magnus Torbach, number 48213.")["input_ids"]
    for answer in ("Magnus Torbach", "48213"):
        alone = tokenizer(answer)["input_ids"]
        assert alone in [ids[first : first + len(alone)] for first in range(len(ids))]
    assert tokenizer.convert_ids_to_tokens(tokenizer("48213")["input_ids"])[-5:] == list("48213")


def test_the_chat_template_marks_roles_tools_and_calls_with_single_tokens(tokenizer):
    call = {"type": "function", "function": {"name": "find", "arguments": {"name": "Zoë"}}}
    messages = [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "Nobody."},
    ]
    shown = tokenizer.apply_chat_template(
        messages, tools=[{"name": "find"}], tokenize=False, add_generation_prompt=True
    )
    assert shown == (
        '<|system|><|tools|>{"name":"find"}<|tools_end|><|end|><|user|>Who?<|end|>'
        '<|assistant|><|tool_call|>{"name":"find","arguments":{"name":"Zoë"}}<|tool_call_end|><|end|>'
        "<|tool|>Nobody.<|end|><|assistant|>"
    )
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(shown)["input_ids"])
    assert sum(token.startswith("<|") for token in tokens) == shown.count("<|")


def test_it_trains_a_base_and_logs_answers_apart_from_text(trained, tokenizer):
    assert [row["step"] for row in log(trained)] == [1, 2, 3, 4]
    assert all(row["loss_text"] > 0 for row in log(trained))
    assert any(row["loss_answers"] for row in log(trained))  # where there was a look-up
    model = AutoModelForCausalLM.from_pretrained(trained / "model")
    assert model.config.tie_word_embeddings
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert AutoTokenizer.from_pretrained(trained / "model").chat_template == tokenizer.chat_template


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(recipe, config, trained, tmp_path):
    shutil.copytree(trained / "checkpoint-2", tmp_path / "run" / "checkpoint-2")
    shutil.copy(trained / "base.json", tmp_path / "run")
    # The same configuration but for where its output lies.
    noted = json.loads((trained / "base.json").read_text())
    (tmp_path / "run" / "base.json").write_text(json.dumps({**noted, "output": str(tmp_path / "run")}))
    train(recipe, config, tmp_path / "run")
    assert weights(tmp_path / "run") == weights(trained)
    assert log(tmp_path / "run") == log(trained)


def test_a_step_that_is_done_says_so(recipe, config, trained, tokenizer_folder, texts, capsys):
    before = weights(trained)
    train(recipe, config, trained)
    recipe("tokenizer.py", texts, "--out", tokenizer_folder)
    assert "this run is done" in capsys.readouterr().out
    assert weights(trained) == before


def test_a_run_does_not_go_on_with_other_numbers(recipe, config, trained):
    with pytest.raises(ConfigError, match="learning_rate"):
        train(recipe, {**config, "learning_rate": 1e-4}, trained)
    with pytest.raises(ConfigError, match="window_tokens"):
        train(recipe, {**config, "window_tokens": 320}, trained)


@pytest.mark.parametrize("name", ["base-cpu.yaml", "base-gpu.yaml"])
def test_the_configurations_are_read(recipe, name):
    with pytest.raises(SystemExit):
        recipe("base.py", "--help")
    defined = runpy.run_path(str(RECIPE / "base.py"))
    assert defined["BaseConfig"].from_file(RECIPE / name).lookup_share == 0.5


@pytest.mark.parametrize("path", sorted(RECIPE.glob("l*.yaml")), ids=lambda path: path.name)
def test_the_later_steps_are_settings_of_sharedllm_train_that_go_on_from_one_another(path):
    config = TrainingConfig.from_file(path)
    assert config.trained == "all"
    before = Path(config.base or config.model).parent.name
    made_by = [yaml.safe_load(other.read_text())["output"] for other in RECIPE.glob("*.yaml")]
    assert f"runs/{before}" in made_by

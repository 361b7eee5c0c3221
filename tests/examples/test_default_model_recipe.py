"""The recipe of the embedded model runs, step by step, at a tiny size."""

import json
import re
import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch.optim import _muon as torchs_muon
from transformers import AutoTokenizer

from sharedllm_core import Document, SharedLLMEngine, SharedLLMForCausalLM
from sharedllm_core.tokenization import TextTokenizer
from sharedllm_core.training.batch import PastBatch, collate
from sharedllm_core.training.tasks import FillerTexts

RECIPE = Path(__file__).parents[2] / "examples" / "default_model"
TORCHS = torchs_muon._zeropower_via_newtonschulz  # before a run of the recipe replaces it
SETTINGS = {
    "steps": 4,
    "warmup_steps": 2,
    "sentences": {"rows": 2, "facts": 2, "made_up": 0.25, "framed": 0.25, "blank": 0.25, "alone": 0.5},
    "documents": {
        "rows": 2,
        "from_step": 1,
        "share": 0.5,
        "lengths": [500],
        "questions": 2,
        "forms": ["single", "unanswerable"],
        "earlier_rows": [[0, 0]],  # earlier rows are no part of a checkpoint
    },
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
    for module in ("any_facts", "facts", "newton_schulz", "start"):
        sys.modules.pop(module, None)


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
def start(recipe, tokenizer_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "model"
    recipe("start.py", "--tokenizer", tokenizer_folder, "--out", folder, "--layers", 3, "--hidden", 256)
    return folder


@pytest.fixture(scope="module")
def trained(recipe, texts, start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("look-ups") / "run"
    train(recipe, texts, start, folder)
    return folder


def train(recipe, texts, start, output, **changes):
    path = output.with_suffix(".yaml")
    settings = {**SETTINGS, "start": str(start), "texts": [str(texts)], "output": str(output), **changes}
    path.write_text(yaml.safe_dump(settings))
    recipe("look_ups.py", path)


def weights(folder):
    return [load_file(file) for file in sorted(folder.glob("*.safetensors"))]


def log(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_the_same_texts_give_the_same_tokenizer(recipe, texts, tokenizer_folder, tmp_path):
    recipe("tokenizer.py", texts, "--out", tmp_path, "--vocabulary", 1200, "--tasks", 300)
    assert (tmp_path / "tokenizer.json").read_bytes() == (tokenizer_folder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    "text",
    ["A plain text.", " two  spaces ", "\n\nx = 1\n    y", "漢字 🙂 naïve\tTAB", "<|end|>", "\n", "a\n \n  b\r\nc\n"],
)
def test_every_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize(
    "text", ["Ask Magnus Torbach, number 48213.", "Magnus Torbach:\n48213", "x\n\nMagnus Torbach\n48213"]
)
def test_an_answer_has_the_tokens_that_it_has_in_a_sentence_and_in_a_line(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    for answer in ("Magnus Torbach", "48213"):
        alone = tokenizer(answer)["input_ids"]
        assert alone in [ids[first : first + len(alone)] for first in range(len(ids))]


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


def test_digits_come_in_groups_of_up_to_three(recipe, texts, tmp_path):
    recipe("tokenizer.py", texts, "--out", tmp_path, "--vocabulary", 4000, "--tasks", 10)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokens = tokenizer.tokenize("Call 48213 or 007.")
    assert [token for token in tokens if any(map(str.isdigit, token))] == ["Ġ482", "13", "Ġ007"]


@torch.no_grad()
def test_the_first_weights_find_and_copy_before_any_training(start):
    model = SharedLLMForCausalLM.from_pretrained(start)
    torch.manual_seed(0)
    right, by_chance = [], []
    for _ in range(20):
        text = torch.randint(300, model.vocab_size, (64,))
        past = model.encode_past_context([text], text[8:16])
        again = text[8:16][None]
        for seen, found in ((past, right), (None, by_chance)):
            guess = model(again, past_context=seen).logits[0, 1:-1].argmax(-1)
            found.append((guess == again[0, 2:]).float().mean())
    assert torch.stack(right).mean() > 0.04
    assert torch.stack(by_chance).mean() < 0.02


def rows_of(recipe, texts, start, **sentences):
    """The script's names, its settings, and its batches of sentences."""
    with pytest.raises(SystemExit):
        recipe("look_ups.py", "--help")
    script = runpy.run_path(str(RECIPE / "look_ups.py"))
    settings = script["Settings"](
        str(start), "", (str(texts),), script["Sentences"](**{"rows": 2, "facts": 3} | sentences), script["Documents"]()
    )
    tokenizer = AutoTokenizer.from_pretrained(start)
    model = script["AskedModel"].from_pretrained(start).train()
    return model, script["Rows"](settings, TextTokenizer(tokenizer), model.method)


@pytest.mark.parametrize("sort", ["made_up", "framed", "blank"])
def test_questions_are_about_their_sentences_and_leave_the_answer_out(recipe, texts, start, sort):
    _, rows = rows_of(recipe, texts, start, **{"made_up": 0} | {sort: 1})
    facts = rows._facts(Random(3))
    assert len(facts) == 3
    for fact in facts:
        asked, said = set(re.findall(r"\w+", fact.question)), set(re.findall(r"\w+", fact.text))
        assert fact.answer in fact.text
        assert fact.answer not in fact.question
        assert len(asked & said) >= 1


def test_questions_asked_alone_see_the_sentences_of_their_row_and_no_others(recipe, texts, start):
    """Also with states of earlier rows beside: a question must never see those alone."""
    model, rows = rows_of(recipe, texts, start, alone=1)
    method, batch = rows.batch(0)
    model.set_method(method)
    model.earlier_rows = 3
    past = PastBatch.of({name: part for name, part in batch.items() if name.startswith(("chunk", "query"))})
    assert set(past.rows) == {0, 3}
    model._pasts(past)  # these are the earlier rows
    seen = model._pasts(past)
    assert seen[0] is seen[1] is seen[2]
    assert seen[3] is seen[4] is seen[5]
    assert seen[0] is not seen[3]


def test_a_conversation_reads_in_full_what_any_of_its_questions_asks_for(recipe, texts, start):
    """One query stands for all questions: with a least score, facts that one question shares less with stay coarse."""
    model, rows = rows_of(recipe, texts, start)
    documents = {**SETTINGS["documents"], "questions": 5, "forms": ("single",), "lengths": (700,)}
    rows._settings = replace(rows._settings, documents=type(rows._settings.documents)(**documents))
    model.set_method(rows.of_documents)
    batch = collate(list(rows._conversations(7)))
    past = PastBatch.of({name: part for name, part in batch.items() if name.startswith(("chunk", "query"))})
    assert all(
        read.num_states == sum(len(past.chunks[i]) for i, of in enumerate(past.rows) if of == row)
        for row, read in enumerate(model._pasts(past))
    )


@pytest.mark.usefixtures("recipe")
@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_muon_in_float32_steps_where_torchs_does(shape):
    """torch's computes in bfloat16, hence the tolerance."""
    from newton_schulz import orthogonalized

    step = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    arguments = ((3.4445, -4.775, 2.0315), 5, 1e-7)
    found = orthogonalized(step, *arguments)
    assert torch.allclose(found, TORCHS(step, *arguments).float(), atol=0.05)
    assert torch.linalg.svdvals(found).sub(1).abs().max() < 0.4


def test_look_ups_are_trained_and_both_sorts_of_rows_logged(trained):
    rows = log(trained)
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert {name for row in rows for name in row} == {"step", "loss_sentences", "loss_documents"}
    engine = SharedLLMEngine.from_pretrained(trained / "model")
    assert engine.ask("Who?", engine.read([Document("Nobody.", id="a")]), max_new_tokens=2).usage.injected_states


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(recipe, texts, start, trained, tmp_path):
    shutil.copytree(trained / "checkpoint", tmp_path / "run" / "checkpoint")
    train(recipe, texts, start, tmp_path / "run")
    for one, other in zip(weights(tmp_path / "run" / "model"), weights(trained / "model"), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)
    assert log(tmp_path / "run") == log(trained)[2:]


def test_a_step_that_is_done_says_so(recipe, texts, start, trained, tokenizer_folder, capsys):
    train(recipe, texts, start, trained)
    recipe("tokenizer.py", texts, "--out", tokenizer_folder)
    recipe("start.py", "--tokenizer", tokenizer_folder, "--out", start)
    said = capsys.readouterr().out
    assert "remove it to train another" in said
    assert "remove it to make another" in said
    assert "to train again" in said


def test_a_model_is_packed_in_half_precision_and_small_shards(recipe, trained, tmp_path):
    recipe("pack.py", trained / "model", tmp_path / "packed")
    assert all(tensor.dtype == torch.bfloat16 for shard in weights(tmp_path / "packed") for tensor in shard.values())
    assert max(file.stat().st_size for file in (tmp_path / "packed").iterdir()) < 15e6
    assert SharedLLMForCausalLM.from_pretrained(tmp_path / "packed").dtype == torch.bfloat16
    assert json.loads((tmp_path / "packed" / "config.json").read_text())["base"] is None


@pytest.mark.parametrize("path", sorted(RECIPE.glob("*.yaml")), ids=lambda path: path.name)
def test_the_settings_are_read(recipe, path):
    with pytest.raises(SystemExit):
        recipe("look_ups.py", "--help")
    settings = runpy.run_path(str(RECIPE / "look_ups.py"))["Settings"].read(path)
    assert settings.rate(settings.warmup_steps) == 1
    assert settings.rate(settings.steps) == 0.02
    assert {"single", "two_hop"} <= set(settings.documents.forms)

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
from transformers import AutoTokenizer

from sharedllm_core import Document, SharedLLMEngine, SharedLLMForCausalLM
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.batch import collate
from sharedllm_core.training.items import Turn, conversation_item
from sharedllm_core.training.tasks import KINDS, NO_ANSWER, FillerTexts, TaskSettings, generate_tasks
from sharedllm_core.training.tasks.phrasing import training_phrasings
from sharedllm_core.training.trainable import TrainableSharedLLMForCausalLM
from tests.training.reading_tasks import read_fact

pytestmark = pytest.mark.long

RECIPE = Path(__file__).parents[2] / "examples" / "default_model"
SETTINGS = {
    "steps": 10,
    "seed": 110,  # with which every sort of batch is among them
    "warmup_steps": 2,
    "muon": True,
    "sentences": {
        "rows": 2,
        "facts": 2,
        "written": 0.2,
        "made_up": 0.2,
        "framed": 0.2,
        "blank": 0.2,
        "tabled": 0.2,
        "alone": 0.5,
        "several": 0.2,
        "chained": 0.2,
        "structured": 0.2,
    },
    "opened": {
        "rows": 2,
        "share": 0.3,
        "lengths": [600],
        "questions": 2,
        "forms": ["single", "unanswerable", "counting", "tool_call", "json"],
        "planted": 0.5,
        "written": True,
        "others": 1,
        "structured": 0.5,
    },
    "selected": {"rows": 2, "share": 0.2, "lengths": [900], "questions": 2, "others": 1, "min_states": [512, 700]},
    "plain": {"rows": 2, "share": 0.2, "past": [64], "running": 32},
    "log_every": 1,
    "save_every": 6,
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
    for script in RECIPE.glob("*.py"):
        sys.modules.pop(script.stem, None)


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


def rows_of(texts, start, **sentences):
    """Batches with these sentences."""
    from row_settings import Documents, Plain, Sentences
    from rows import Rows

    model = SharedLLMForCausalLM.from_pretrained(start)
    given = Sentences(**{"rows": 2, "facts": 3} | sentences)
    documents = Documents(share=0)
    tokenizer = TextTokenizer(AutoTokenizer.from_pretrained(start))
    plain = Plain(rows=2, past=(64,), running=32)
    return Rows(
        [str(texts)], given, documents, documents, plain, tokenizer, model.method, steps=9, seed=0, chunk_positions=256
    )


@pytest.mark.usefixtures("recipe")
@pytest.mark.parametrize("sort", ["written", "made_up", "framed", "blank", "tabled"])
def test_questions_are_about_their_sentences_and_leave_the_answer_out(texts, start, sort):
    facts = rows_of(texts, start, **{"made_up": 0, "unsaid": 0} | {sort: 1})._facts(3, Random(3))
    assert len(facts) == 3
    for fact in facts:
        asked, said = set(re.findall(r"\w+", fact.question)), set(re.findall(r"\w+", fact.text))
        assert fact.answer in fact.text
        assert fact.answer not in fact.question
        assert len(asked & said) >= 1


@pytest.mark.usefixtures("recipe")
@pytest.mark.parametrize("made_up", [0, 1])
def test_what_is_asked_in_vain_is_not_said(texts, start, made_up):
    rows = rows_of(texts, start, made_up=made_up, unsaid=1)
    facts = [fact for number in range(120) for fact in rows._facts(6, Random(f"{number}"))]
    silent = [fact for fact in facts if fact.answer == NO_ANSWER]
    assert 5 <= len(silent) <= 120
    assert all((not fact.text) == (fact.answer == NO_ANSWER) for fact in facts)


@pytest.mark.usefixtures("recipe")
def test_stated_facts_say_several_things_of_one_thing(texts, start):
    """Otherwise the thing alone would tell the answer, and the property need not be read."""
    facts = rows_of(texts, start, made_up=0, unsaid=0)._facts(60, Random(0))
    pools = [pool for pool in (kind.key for kind in KINDS.values()) if pool.pattern == "{quality} {animal}"]
    names = {name for fact in facts for name in re.findall(r"[A-Z][a-z]+ [A-Z][a-z]+", fact.question)}
    assert pools
    assert any(sum(name in fact.question for fact in facts) > 1 for name in names)


@pytest.mark.usefixtures("recipe")
def test_some_questions_have_nothing_but_the_name_in_common_with_what_answers_them(texts, start):
    rows = rows_of(texts, start, made_up=0, framed=1, unsaid=0)
    facts = [fact for number in range(30) for fact in rows._facts(6, Random(number))]
    words = [(set(re.findall(r"\w+", fact.question)), set(re.findall(r"\w+", fact.text))) for fact in facts]
    small = {"the", "of", "a", "in", "on", "for", "with", "by", "at", "to", "under", "from", "its"}
    shared = [len((question & text) - small) for question, text in words]
    assert min(shared) >= 1
    assert sum(count <= 2 for count in shared) > 20
    assert sum(count > 2 for count in shared) > 20


@pytest.mark.usefixtures("recipe")
def test_the_values_of_a_thing_are_listed_in_the_order_of_their_sentences_and_counted():
    from several_facts import several_facts

    kind = KINDS["town_visited"]
    lists = counts = 0
    for number in range(60):
        sentences, asked = several_facts(6, [kind], Random(number))
        assert len(asked) == 6
        said = [min(read_fact(text, kind), key=len) for text in sentences]
        for fact in asked:
            key = max((key for key, _ in said if key in fact.question), key=len)
            values = [value for its, value in said if its == key]
            assert fact.answer in (", ".join(values), str(len(values)))
            lists += fact.answer == ", ".join(values) and len(values) > 1
            counts += fact.answer == str(len(values))
    assert min(lists, counts) > 60


@pytest.mark.usefixtures("recipe")
def test_a_question_over_two_facts_names_neither_what_joins_them_nor_the_answer():
    from chained_facts import chained_facts

    from sharedllm_core.training.tasks.forms.reasoning import linked

    pairs = [(KINDS["captain"], KINDS["birthplace"]), (KINDS["captain"], KINDS["nickname"])]
    assert set(pairs) <= set(linked([kind for kind in KINDS.values() if not kind.held_out]))
    chained = 0
    for number in range(60):
        sentences, asked = chained_facts(6, pairs, Random(number))
        for fact in asked:
            said = [text for text in sentences if fact.answer in text]
            assert said
            assert fact.answer not in fact.question
            chained += fact.question.count("captain") and not any(
                name in fact.question for text in said for name in re.findall(r"[A-Z][a-z]+ [A-Z][a-z]+", text)
            )
    assert chained > 100


@pytest.mark.usefixtures("recipe")
def test_answers_in_json_have_the_asked_names_and_what_the_sentences_or_the_question_say(texts, start):
    from structured_facts import structured_facts

    rows = rows_of(texts, start, structured=1)
    names = set()
    for number in range(40):
        sentences, asked = structured_facts(6, rows._words, rows._all_kinds, Random(number))
        assert len(asked) == 6
        for fact in asked:
            answer = json.loads(fact.answer)
            is_call = "arguments" in answer
            assert not is_call or answer["name"] in fact.question
            for name, value in (answer["arguments"] if is_call else answer).items():
                names.add(name)
                assert name in fact.question
                assert str(value) in fact.question or any(value in text for text in sentences)
    assert len(names) > 150


@pytest.mark.usefixtures("recipe")
def test_what_is_asked_of_a_table_stands_in_the_line_of_its_name(texts, start):
    from tabled_facts import tabled_facts

    def cells(line):
        return re.split(r"\s*[,;|:\t]\s*", line.strip("| "))

    words = rows_of(texts, start)._words
    signs = set()
    for number in range(150):
        facts = tabled_facts(6, words, Random(number), unsaid=1)
        assert len(facts) == 6
        names = set()
        for fact in facts:
            rows = map(cells, fact.text.splitlines()[1:])
            names |= {name for row in rows for name in (row[0], row[-1])}
            if fact.answer != NO_ANSWER:
                said = [line for line in fact.text.splitlines() if fact.answer in line]
                assert any(name and name in fact.question for line in said for name in cells(line))
                signs |= {sign for sign in ",;|:\t" if sign in said[0]}
        for fact in facts:
            if fact.answer == NO_ANSWER:
                assert not fact.text
                assert not any(fact.question.rstrip("?.").endswith(name) for name in names if " " in name)
    assert signs == set(",;|:\t")


@pytest.mark.usefixtures("recipe")
def test_questions_about_one_table_share_its_text_which_stands_in_their_documents_once(texts, start):
    from rows import _texts

    facts = rows_of(texts, start, tabled=1, made_up=0, unsaid=0)._facts(6, Random(1))
    said = _texts(facts)
    assert len(said) < len(facts)
    assert {fact.text for fact in facts} == set(said)


@pytest.mark.usefixtures("recipe")
def test_no_row_has_a_phrasing_that_is_held_out(texts, start):
    of_training = {
        text
        for kind in KINDS.values()
        if not kind.held_out
        for field in (kind.facts, kind.questions, kind.phrases, kind.via)
        for text in training_phrasings(field)
    }
    rows = rows_of(texts, start, several=1)
    own = [kind for kind in rows._all_kinds if kind.name in KINDS]
    assert len(own) == sum(not kind.held_out for kind in KINDS.values())
    for kind in [*own, *{kind for pair in rows._linked for kind in pair if kind.name in KINDS}]:
        assert {*kind.facts, *kind.questions, *kind.phrases, *kind.via} <= of_training


@pytest.mark.usefixtures("recipe")
def test_values_to_list_in_order_stand_in_chunks_of_their_own(texts, start):
    """All states of a chunk are at one position; values of one chunk have no order that an answer could follow."""
    from several_facts import several_facts

    rows = rows_of(texts, start, several=1)
    for number in range(20):
        sentences, _ = several_facts(rows._sentences.facts, rows._all_kinds, Random(number))
        reading = rows._asked_apart("several", Random(number))
        assert reading.chunks == sorted(reading.chunks)
        assert len(sentences) / 2 <= reading.num_chunks
        read = "".join(rows._tokenizer.decode(ids) for ids in reading.nodes)
        assert "".join(read.split()) == "".join("".join(sentences).split())


@pytest.mark.usefixtures("recipe")
def test_short_sets_may_have_as_many_chunks_as_long_ones(texts, start):
    from row_settings import Documents

    def num_chunks(*chunks):
        documents = Documents(rows=1, lengths=(900,), chunks=chunks)
        (reading,) = rows_of(texts, start)._documents("opened", documents, Random(0), 0)
        return reading.num_chunks

    assert num_chunks() <= 4
    assert num_chunks(128) >= 7


@pytest.mark.usefixtures("recipe")
def test_rows_with_long_questions_are_drawn_again(texts, start):
    def longest(**sentences):
        rows = rows_of(texts, start, alone=1, facts=2, made_up=1, **sentences)
        readings = [rows._of_facts(Random(number), alone=True) for number in range(30)]
        return [max(len(text.ids) for text in reading.views[0].texts) for reading in readings]

    usual = sorted(longest())[15]
    assert max(longest()) > usual
    assert max(longest(longest=usual)) == usual


@pytest.mark.usefixtures("recipe")
def test_written_kinds_are_many_and_none_is_one_of_the_generators():
    from written_kinds import written_kinds

    kinds = written_kinds()
    assert len(kinds) > 400
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert not {kind.name for kind in kinds} & set(KINDS)
    held_out = {pattern for kind in KINDS.values() if kind.held_out for pattern in (*kind.facts, *kind.questions)}
    assert held_out
    assert not held_out & {pattern for kind in kinds for pattern in (*kind.facts, *kind.questions)}


@pytest.mark.usefixtures("recipe")
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"key": "<number:1-9>"}, "warranty: there are too few different keys"),
        ({"value": "<number:1-3> months"}, "warranty: there are too few different values"),
        ({"value": "<weight> months"}, "<weight> is no part of a key or value"),
        ({"facts": ["{key} has {value}."] * 7}, "warranty: 7 facts; at least 8 are needed"),
        ({"facts": ["{key} has {value} or {price}."] * 8}, "has other fields than"),
        ({"questions": ["How long does the warranty last?"] * 8}, "does not have each of"),
        ({"via": ["How long?"] * 4}, "does not have each of ['via']"),
        ({"several": "warranties"}, "does not have each of ['key']"),
    ],
)
def test_a_written_kind_that_cannot_be_used_is_named(tmp_path, change, complaint):
    from written_kinds import written_kinds

    kind = {
        "name": "warranty",
        "key": "<product>",
        "value": "<number:3-84> months",
        "facts": ["The {key} is under warranty for {value}."] * 8,
        "questions": ["How long is the {key} under warranty?"] * 8,
        "phrases": ["the warranty of the {key}"] * 3,
        "several": "warranties of the {key}",
        "via": ["How long is {via} under warranty?"] * 4,
    }
    (tmp_path / "kinds.yaml").write_text(yaml.safe_dump([kind]))
    assert len(written_kinds(tmp_path)) == 1
    (tmp_path / "kinds.yaml").write_text(yaml.safe_dump([kind | change]))
    with pytest.raises(ValueError, match=re.escape(complaint)):
        written_kinds(tmp_path)


@pytest.mark.usefixtures("recipe")
@torch.no_grad()
def test_plain_text_is_predicted_behind_what_stands_before_it(texts, start):
    """The same text with and without its past: the loss is that of the model itself."""
    from read_loss import read_loss
    from reading import collate as collate_readings

    rows = rows_of(texts, start)
    reading = rows._continued(64, Random(0))
    # The library strips a text before it compresses it: a token of white space at an edge may be missing.
    assert 60 <= sum(map(len, reading.nodes)) <= 64
    (view,) = reading.views
    (text,) = view.texts
    assert torch.equal(text.labels, text.ids)
    source = "\n".join(rows._running)
    assert rows._tokenizer.decode(torch.cat([*reading.nodes])) in source
    assert rows._tokenizer.decode(text.ids) in source
    model = SharedLLMForCausalLM.from_pretrained(start)
    model.set_method(replace(model.method, min_injected_states=10**6, min_score_share=0))
    past = model.encode_past_context([torch.cat(reading.nodes)], text.ids)
    logits = model(text.ids[None], past_context=past).logits[0, :-1]
    expected = torch.nn.functional.cross_entropy(logits.float(), text.ids[1:])
    assert torch.allclose(read_loss(model, collate_readings([reading], Random(0))), expected, rtol=1e-4)


def asked(start):
    """Two sets of documents with four questions each, a model, and its tokenizer."""
    model = TrainableSharedLLMForCausalLM.from_pretrained(start).eval()
    tokenizer = TextTokenizer(AutoTokenizer.from_pretrained(start))
    settings = TaskSettings(length=900, count_tokens=tokenizer.count, questions_per_set=4, distractors=2)
    tasks = list(generate_tasks(list(FillerTexts(60)), settings, 3, count=8))
    return model, tokenizer, [tasks[:4], tasks[4:]]


def parts(tasks):
    texts, ids = zip(*((document["text"], document["id"]) for document in tasks[0].documents), strict=True)
    return texts, ids, [Turn(task.question, task.answer) for task in tasks]


@pytest.mark.usefixtures("recipe")
@pytest.mark.parametrize("lower_attention", ["causal", "full"])
@pytest.mark.parametrize("alone", [False, True])
@torch.no_grad()
def test_opened_documents_have_the_loss_that_the_model_itself_gives(start, alone, lower_attention):
    from read_loss import read_loss
    from reading import collate as collate_readings
    from reading import opened

    model, tokenizer, sets = asked(start)
    method = replace(model.method, lower_attention=lower_attention)
    everything = replace(method, min_score_share=0, min_injected_states=10**6)
    items, readings = [], []
    for tasks in sets:
        texts, _, turns = parts(tasks)
        conversations = [[turn] for turn in turns] if alone else [turns]
        items += [conversation_item(texts, turns, tokenizer, everything) for turns in conversations]
        readings.append(opened(texts, conversations, tokenizer, method))
    model.set_method(everything)
    expected = model(**collate(items)).loss
    assert torch.allclose(read_loss(model, collate_readings(readings, Random(0))), expected, rtol=1e-5)


@pytest.mark.usefixtures("recipe")
@torch.no_grad()
def test_selected_documents_have_the_loss_that_the_model_itself_gives(start):
    from read_loss import read_loss
    from reading import collate as collate_readings
    from reading import selected

    model, tokenizer, sets = asked(start)
    method = replace(model.method, min_injected_states=300)
    items, readings = [], []
    for tasks in sets:
        texts, _, turns = parts(tasks)
        items += [conversation_item(texts, [turn], tokenizer, method) for turn in turns]
        readings.append(selected(texts, turns, [[] for _ in turns], tokenizer, method))
    model.set_method(method)
    expected = model(**collate(items)).loss
    assert torch.allclose(read_loss(model, collate_readings(readings, Random(0))), expected, rtol=1e-5)


@pytest.mark.usefixtures("recipe")
def test_a_question_whose_evidence_is_not_retained_is_left_out(start):
    from reading import selected, spots

    model, tokenizer, (tasks, _) = asked(start)
    texts, ids, turns = parts(tasks)
    everywhere = [[(number, 0, len(text)) for number, text in enumerate(texts)] for _ in tasks]
    little = replace(model.method, min_injected_states=150)
    everything = replace(model.method, min_injected_states=10**6, min_score_share=0)
    assert len(selected(texts, turns, everywhere, tokenizer, everything).views) == 4
    assert len(selected(texts, turns, everywhere, tokenizer, little).views) == 0
    of_tasks = [spots(task.evidence, ids) for task in tasks]
    assert sum(map(len, of_tasks)) > 0
    assert len(selected(texts, turns, of_tasks, tokenizer, everything).views) == 4


@pytest.mark.usefixtures("recipe")
def test_other_readings_are_seen_at_positions_of_their_own(start):
    from reading import collate as collate_readings
    from reading import opened

    model, tokenizer, sets = asked(start)
    readings = [opened(parts(tasks)[0], [parts(tasks)[2]], tokenizer, model.method) for tasks in sets]
    alone = collate_readings(readings, Random(0))
    beside = next(
        batch
        for number in range(20)
        if (batch := collate_readings(readings, Random(number), random_positions=256, others=2)).states.shape
        > alone.states.shape
    )
    own = [set(alone.states[row][alone.is_seen[row]].tolist()) for row in (0, 1)]
    for row in (0, 1):
        states, places = beside.states[row][beside.is_seen[row]], beside.positions[row][beside.is_seen[row]]
        assert own[row] <= set(states.tolist())
        mine = torch.tensor([state in own[row] for state in states.tolist()])
        assert not set(places[mine].tolist()) & set(places[~mine].tolist())
        assert beside.query_positions[row] == places.max() + 1


@pytest.mark.usefixtures("recipe")
def test_muon_steps_where_torchs_does():
    """torch's computes in bfloat16, hence the tolerance."""
    from muon import Muon, orthogonalized

    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in ((6, 6), (4, 9), (9, 4), (6, 6))]
    torchs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    one, other = Muon(ours, 0.1), torch.optim.Muon(torchs, lr=0.1, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    before = [matrix.detach().clone() for matrix in ours]
    for _ in range(3):
        for mine, theirs in zip(ours, torchs, strict=True):
            mine.grad = torch.randn_like(mine)
            theirs.grad = mine.grad.clone()
        one.step()
        other.step()
    for mine, theirs, first in zip(ours, torchs, before, strict=True):
        assert (mine - first).abs().max() > 0.05
        assert torch.allclose(mine, theirs, atol=0.01)
    assert torch.linalg.svdvals(orthogonalized(torch.randn(2, 6, 6))).sub(1).abs().max() < 0.4


def test_look_ups_are_trained_and_all_sorts_of_rows_logged(trained):
    rows = log(trained)
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert {name for row in rows for name in row} == {
        "step",
        "loss_sentences",
        "loss_several",
        "loss_chained",
        "loss_structured",
        "loss_opened",
        "loss_selected",
        "loss_plain",
    }
    engine = SharedLLMEngine.from_pretrained(trained / "model")
    assert engine.ask("Who?", engine.read([Document("Nobody.", id="a")]), max_new_tokens=2).usage.injected_states


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(recipe, texts, start, trained, tmp_path):
    shutil.copytree(trained / "checkpoint", tmp_path / "run" / "checkpoint")
    train(recipe, texts, start, tmp_path / "run")
    for one, other in zip(weights(tmp_path / "run" / "model"), weights(trained / "model"), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)
    assert log(tmp_path / "run") == log(trained)[6:]


def test_a_step_that_is_done_says_so(recipe, texts, start, trained, tokenizer_folder, capsys):
    train(recipe, texts, start, trained)
    recipe("tokenizer.py", texts, "--out", tokenizer_folder)
    recipe("start.py", "--tokenizer", tokenizer_folder, "--out", start)
    said = capsys.readouterr().out
    assert "remove it to train another" in said
    assert "remove it to make another" in said
    assert "to train again" in said


def test_averaged_weights_are_between_those_of_two_runs(recipe, start, trained, tmp_path):
    recipe("average.py", start, trained / "model", tmp_path / "average", "--second", 0.75)
    first, second, between = (
        SharedLLMForCausalLM.from_pretrained(folder).state_dict()
        for folder in (start, trained / "model", tmp_path / "average")
    )
    assert any(not torch.equal(first[name], second[name]) for name in first)
    for name, weight in between.items():
        assert torch.allclose(weight, 0.25 * first[name] + 0.75 * second[name], atol=1e-6)
    assert AutoTokenizer.from_pretrained(tmp_path / "average").vocab_size
    with pytest.raises(SystemExit, match="from 0 to 1"):
        recipe("average.py", start, trained / "model", tmp_path / "more", "--second", 75)


def test_a_run_may_choose_another_policy_than_its_start(recipe, texts, start, tmp_path):
    train(recipe, texts, start, tmp_path / "run", policy="two_looks", steps=1)
    assert SharedLLMForCausalLM.from_pretrained(tmp_path / "run" / "model").method.policy == "two_looks"
    assert SharedLLMForCausalLM.from_pretrained(start).method.policy == "lexical"


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
    assert {"single", "two_hop"} <= set(settings.opened.forms) & set(settings.selected.forms)


def test_a_run_ends_when_its_minutes_are_over(recipe):
    with pytest.raises(SystemExit):
        recipe("look_ups.py", "--help")
    settings = runpy.run_path(str(RECIPE / "look_ups.py"))["Settings"]("a", "b", (), steps=1000, minutes=2)
    assert not settings.is_over(999, 119)
    assert settings.is_over(10, 120)
    assert settings.is_over(1000, 1)
    assert settings.rate(60, 30) == 1
    assert settings.rate(60, 90) == pytest.approx(0.5)
    assert settings.rate(60, 120) == 0.02

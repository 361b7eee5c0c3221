"""Ways of reading that rows draw: what a row quotes is what the engine quotes, and each row has its own compression."""

import json
from collections import Counter
from dataclasses import replace

import pytest
import torch

from sharedllm_core import Document, SharedLLMConfig, SharedLLMEngine
from sharedllm_core.errors import ConfigError
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.batch import PastBatch, collate
from sharedllm_core.training.config import TrainingConfig
from sharedllm_core.training.instruction import InstructionDataset
from sharedllm_core.training.items import NO_LOSS, Turn, conversation_item
from sharedllm_core.training.past import encode_batch
from sharedllm_core.training.row_reading import RowReading
from sharedllm_core.training.trainable import TrainableSharedLLMForCausalLM
from tests import tiny_engine

from .runs import history, losses, settings, train_here

PAST = {
    "injection_layers": 2,
    "chunk_tokens": 32,
    "compression_ratio": 2,
    "policy": "search",
    "scope": "past",
    "finest_compression_ratio": 1,
}
METHOD = SharedLLMConfig(**PAST | {"compression_ratio": 4, "split_noise_tokens": 0})
DOCUMENTS = tiny_engine.documents(6)
QUESTION = "Who paid the storage fee?"


@pytest.fixture
def tokenizer():
    return TextTokenizer(tiny_engine.tokenizer())


def rows_file(path, number=40):
    with path.open("w") as file:
        for i in range(number):
            own = {"text": tiny_engine.words(20, seed=i), "title": f"Title {i}"}
            file.write(json.dumps({"documents": [own], "question": QUESTION, "answer": f"answer {i}"}) + "\n")
    return str(path)


def test_a_row_quotes_what_the_engine_quotes(folder, tokenizer):
    engine = SharedLLMEngine.from_pretrained(
        folder / "base", reading="quoted", cache=tiny_engine.memory_cache(), dtype=torch.float32
    )
    seen = []
    engine.model.register_forward_pre_hook(
        lambda _model, _args, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True
    )
    engine.ask(QUESTION, list(DOCUMENTS), quote_tokens=80, max_new_tokens=1)
    reading = RowReading(inject=False, quote_tokens=80)
    item = conversation_item(DOCUMENTS, [Turn(QUESTION, "the tenant")], tokenizer, METHOD, reading)
    prompt = item.input_ids[item.labels == NO_LOSS]
    assert prompt.tolist() == seen[0][0].tolist()
    assert item.chunks == []


def test_passages_leave_room_for_question_and_answer(tokenizer):
    turns = [Turn(QUESTION, "the tenant")]
    for most in (90, 150, 300):
        reading = RowReading(quote_tokens=1000)
        item = conversation_item(DOCUMENTS, turns, tokenizer, METHOD, reading, max_running_tokens=most)
        assert most / 2 < len(item.input_ids) <= most


def test_a_conversation_has_passages_for_all_its_questions_before_the_first(tokenizer):
    documents = [
        Document("The gondola is in Venice.", id="a"),
        Document("The funicular is in Naples.", id="b"),
        *DOCUMENTS,
    ]
    turns = [Turn("Where is the gondola?", "Venice"), Turn("Where is the funicular?", "Naples")]
    item = conversation_item(documents, turns, tokenizer, METHOD, RowReading(quote_tokens=160))
    text = tokenizer.tokenizer.decode(item.input_ids)
    assert text.index("The funicular is in Naples.") < text.index("Where is the gondola?")
    assert text.count("The funicular is in Naples.") == 1
    assert text.endswith("Where is the funicular?<|end|><|assistant|>Naples<|end|>")


def test_rows_draw_by_their_shares_and_the_same_row_draws_the_same(tokenizer, tmp_path):
    readings = (RowReading(share=1), RowReading(quote_tokens=30, share=2), RowReading(inject=False, quote_tokens=30))
    dataset = InstructionDataset([rows_file(tmp_path / "rows.jsonl")], tokenizer, METHOD, 1000, 1000, readings)
    drawn = Counter()
    for draw in range(400):
        item = dataset.item(0, str(draw))
        drawn[bool(item.chunks), "Title 0" in tokenizer.tokenizer.decode(item.input_ids)] += 1
    assert drawn[True, True] == pytest.approx(200, abs=40)
    assert drawn[True, False] == pytest.approx(100, abs=35)
    assert drawn[False, True] == pytest.approx(100, abs=35)
    assert torch.equal(dataset.item(3, "x").input_ids, dataset.item(3, "x").input_ids)


def test_distractors_are_documents_of_other_rows_within_the_limit(tokenizer, tmp_path):
    file = rows_file(tmp_path / "rows.jsonl")
    alone = InstructionDataset([file], tokenizer, METHOD, 400, 1000)
    mixed = InstructionDataset([file], tokenizer, METHOD, 400, 1000, distractors=30)
    own = torch.cat(alone.item(7).chunks).tolist()
    lengths, places = set(), set()
    for draw in range(60):
        chunks = [chunk.tolist() for chunk in mixed.item(7, str(draw)).chunks]
        assert sum(map(len, chunks)) <= 400
        lengths.add(len(chunks))
        first = own[:32]
        assert chunks.count(first) == 1
        places.add(chunks.index(first))
    assert len(lengths) > 5
    assert len(places) > 3


def test_each_row_is_compressed_as_it_draws(bases, tokenizer):
    model = TrainableSharedLLMForCausalLM.from_base(bases("llama"), replace(METHOD, policy="lexical"))
    turns = [Turn(QUESTION, "the tenant")]
    texts = [tiny_engine.words(200)]
    rows = [
        conversation_item(texts, turns, tokenizer, METHOD, RowReading(compression_ratio=ratio))
        for ratio in (2, 6, None)
    ]
    for row in rows:
        row.chunks[:] = [chunk % model.vocab_size for chunk in row.chunks]
    states = encode_batch(model.lower_model, PastBatch.of(collate(rows)), noisy=False)
    counts = Counter()
    for row, entry in zip(states.rows, states.states, strict=True):
        counts[row] += entry.keys.shape[2]
    tokens = sum(map(len, rows[0].chunks))
    assert counts[0] == pytest.approx(tokens / 2, rel=0.25)
    assert counts[1] == pytest.approx(tokens / 6, rel=0.25)
    assert counts[2] == pytest.approx(tokens / 4, rel=0.25)


def test_a_policy_that_searches_text_selects_in_training_as_in_the_engine(bases, tokenizer):
    """The scores travel with the chunks, padded and cut again."""
    turns = [Turn(QUESTION, "the tenant")]
    rows = [conversation_item(texts, turns, tokenizer, METHOD) for texts in (DOCUMENTS, DOCUMENTS[:2])]
    batch = PastBatch.of(collate(rows))
    expected = [scores for row in rows for scores in row.relevance]
    assert len(batch.relevance) == len(batch.chunks) == len(expected)
    for found, wanted in zip(batch.relevance, expected, strict=True):
        assert found.tolist() == wanted.tolist()
    model = TrainableSharedLLMForCausalLM.from_base(bases("llama"), METHOD)
    batch.chunks[:] = [chunk % model.vocab_size for chunk in batch.chunks]
    assert set(encode_batch(model.lower_model, batch, noisy=False).rows) == {0, 1}


READINGS = [{"inject": False, "quote_tokens": 40}, {"quote_tokens": 20, "compression_ratio": 4}, {"share": 2}]


def test_a_run_with_every_way_of_reading_learns(folder, tmp_path):
    changes = {"readings": READINGS, "distractors": 2, "distillation": 0.5, "teacher_tokens": 100, "method": PAST}
    train_here(folder, tmp_path / "run", **changes, steps=40, save_every=40)
    found = losses(tmp_path / "run")
    assert sum(found[step] for step in range(33, 41)) < sum(found[step] for step in range(1, 9))


def test_the_log_has_questions_per_second_and_the_minutes_that_are_left(folder, tmp_path):
    train_here(folder, tmp_path / "run", steps=4)
    rows = history(tmp_path / "run")
    assert all(row["questions_per_second"] > 0 for row in rows)
    assert "minutes_left" not in rows[0]
    assert rows[-1]["minutes_left"] == 0


@pytest.mark.parametrize(
    ("readings", "said"),
    [
        ([], "an empty one"),
        ("quoted", "no list"),
        ([3], "3 is no object"),
        ([{"quotes": 5}], r"unknown fields \['quotes'\]"),
        ([{"inject": False}], "neither injects nor quotes"),
        ([{"quote_tokens": -1}], "quote_tokens"),
        ([{"compression_ratio": 0.5}], "compression_ratio"),
        ([{"share": 0}], "share"),
    ],
)
def test_readings_that_cannot_be_are_refused(folder, tmp_path, readings, said):
    with pytest.raises(ConfigError, match=said):
        TrainingConfig.from_dict(settings(folder, tmp_path, readings=readings))


def test_drawn_ratios_need_states_that_do_not_depend_on_them(folder, tmp_path):
    with pytest.raises(ConfigError, match="finest_compression_ratio"):
        train_here(folder, tmp_path / "run", readings=[{"compression_ratio": 4}])

"""Rows of a conversation: what the model reads while it trains is what it reads when it is asked, and answers alone
have a loss."""

import json

import pytest
import torch

from sharedllm_core import SharedLLMConfig
from sharedllm_core.errors import InputError
from sharedllm_core.generation.prompting import build_prompt
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.data import TaskDataset, task_settings
from sharedllm_core.training.instruction import InstructionDataset
from sharedllm_core.training.items import NO_LOSS, Turn, conversation_item
from sharedllm_core.training.tasks import TaskSettings, generate_tasks
from tests import tiny_engine

METHOD = SharedLLMConfig(injection_layers=1, chunk_tokens=32)

TURNS = [Turn("Who signed?", "the tenant"), Turn("Which fee is paid?", "storage"), Turn("When?", "within days")]
TEXTS = [tiny_engine.words(60), tiny_engine.words(20, seed=1)]


@pytest.fixture
def tokenizer():
    return TextTokenizer(tiny_engine.tokenizer())


def asked(turns, tokenizer):
    """Ids that the engine reads to answer the last of `turns`."""
    messages = []
    for turn in turns[:-1]:
        messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
    messages.append({"role": "user", "content": turns[-1].question})
    return build_prompt(messages, tokenizer, window_tokens=10_000, new_tokens=0)


def answered(item, tokenizer):
    """What has a loss, span by span."""
    spans, before = [], False
    for label in item.labels.tolist():
        if label != NO_LOSS and not before:
            spans.append([])
        if label != NO_LOSS:
            spans[-1].append(label)
        before = label != NO_LOSS
    return [tokenizer.tokenizer.decode(span) for span in spans]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_answer_follows_what_the_engine_would_have_read(tokenizer, count):
    item = conversation_item(TEXTS, TURNS[:count], tokenizer, METHOD)
    starts = [i for i in range(1, len(item.labels)) if item.labels[i] != NO_LOSS and item.labels[i - 1] == NO_LOSS]
    assert len(starts) == count
    for number, start in enumerate(starts, start=1):
        assert torch.equal(item.input_ids[:start], asked(TURNS[:number], tokenizer).ids)


def test_answers_and_their_ends_have_a_loss_and_nothing_else_has(tokenizer):
    item = conversation_item(TEXTS, TURNS, tokenizer, METHOD)
    assert answered(item, tokenizer) == [f"{turn.answer}<|end|>" for turn in TURNS]
    with_loss = item.labels != NO_LOSS
    assert torch.equal(item.input_ids[with_loss], item.labels[with_loss])


def test_selection_sees_every_question_of_a_row(tokenizer):
    item = conversation_item(TEXTS, TURNS, tokenizer, METHOD)
    assert torch.equal(item.query_ids, torch.cat([asked([turn], tokenizer).query_ids for turn in TURNS]))
    alone = conversation_item(TEXTS, TURNS[2:], tokenizer, METHOD)
    assert torch.equal(alone.query_ids, asked(TURNS, tokenizer).query_ids)


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    tokenizer.tokenizer.chat_template = (
        "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] | upper }}{% endfor %}[assistant]"
    )
    conversation_item(TEXTS, TURNS[:1], tokenizer, METHOD)
    with pytest.raises(InputError, match="a row can have one turn only; use questions_per_set=1"):
        conversation_item(TEXTS, TURNS, tokenizer, METHOD)


def test_rows_of_files_may_have_turns(tokenizer, tmp_path):
    rows = [
        {"documents": TEXTS, "turns": [turn._asdict() for turn in TURNS]},
        {"documents": TEXTS, "question": TURNS[0].question, "answer": TURNS[0].answer},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = InstructionDataset([str(file)], tokenizer, METHOD, 1000, 1000)
    for item, turns in zip([dataset[0], dataset[1]], [TURNS, TURNS[:1]], strict=True):
        assert torch.equal(item.input_ids, conversation_item(TEXTS, turns, tokenizer, METHOD).input_ids)


def test_tasks_over_one_set_of_documents_become_turns_over_it(tokenizer):
    settings = TaskSettings(length=1_500, questions_per_set=3, forms=("single",), distractors=0)
    dataset = TaskDataset(None, [settings], 5, 4, tokenizer, METHOD)
    tasks = list(generate_tasks(None, settings, 5, count=12))
    assert len(dataset) == 4
    for number in (0, 3):
        of_set = tasks[3 * number : 3 * number + 3]
        item = dataset[number]
        assert answered(item, tokenizer) == [f"{task.answer}<|end|>" for task in of_set]
        texts = [document["text"] for document in of_set[0].documents]
        assert sum(map(len, item.chunks)) == sum(len(tokenizer.encode(text).ids) for text in texts)


def test_lengths_of_a_list_are_taken_in_turn(tokenizer):
    _, settings = task_settings({"length": [600, 1_200, 2_400], "forms": ["single"], "distractors": 0}, tokenizer)
    dataset = TaskDataset(None, settings, 5, 6, tokenizer, METHOD)
    for number in range(6):
        tokens = sum(map(len, dataset[number].chunks))
        assert tokens == pytest.approx([600, 1_200, 2_400][number % 3], rel=0.05)

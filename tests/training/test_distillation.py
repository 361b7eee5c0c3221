"""Distillation pulls a row towards what the same model says with the text in its window."""

import pytest
import torch

from sharedllm_core import SharedLLMConfig
from sharedllm_core.text.tokenization import TextTokenizer
from sharedllm_core.training.batch import collate
from sharedllm_core.training.distillation import distillation_distance
from sharedllm_core.training.items import NO_LOSS, Turn, conversation_item
from sharedllm_core.training.row_reading import RowReading
from sharedllm_core.training.trainable import TrainableSharedLLMForCausalLM
from tests import tiny_engine

METHOD = SharedLLMConfig(injection_layers=2, chunk_tokens=32, compression_ratio=4, policy="right", split_noise_tokens=0)
TURNS = [Turn("Who signed?", "the tenant signed"), Turn("Which fee is paid?", "storage")]
DOCUMENTS = tiny_engine.documents(3)


@pytest.fixture
def tokenizer():
    return TextTokenizer(tiny_engine.tokenizer())


@pytest.fixture
def model(tmp_path):
    tiny_engine.make_checkpoint(tmp_path)
    return TrainableSharedLLMForCausalLM.from_base(tmp_path / "base", METHOD, dtype=torch.float64).train()


def row(tokenizer, reading, teacher_tokens=200):
    return conversation_item(DOCUMENTS, TURNS, tokenizer, METHOD, reading, teacher_tokens=teacher_tokens)


def test_a_teacher_has_the_same_answers_behind_more_text(tokenizer):
    item = row(tokenizer, RowReading(quote_tokens=10))
    ids, labels = item.teacher
    assert labels[labels != NO_LOSS].tolist() == item.labels[item.labels != NO_LOSS].tolist()
    assert len(ids) > len(item.input_ids) + 50


@pytest.mark.parametrize("reading", [RowReading(inject=False, quote_tokens=50), RowReading(quote_tokens=200)])
def test_a_row_that_reads_as_much_itself_has_no_teacher(tokenizer, reading):
    assert row(tokenizer, reading).teacher is None


def test_the_distance_is_the_cross_entropy_to_the_teacher(model, tokenizer):
    batch = collate([row(tokenizer, RowReading())])
    ids, labels = batch["teacher_ids"], batch["teacher_labels"]
    wanted = labels[:, 1:] != NO_LOSS
    teacher = model(input_ids=ids).logits[:, :-1][wanted]
    entropy = distillation_distance(teacher, ids, labels, model._teacher_logits)
    other = distillation_distance(teacher + torch.randn_like(teacher), ids, labels, model._teacher_logits)
    best = teacher.topk(32)
    weights = best.values.softmax(-1)
    expected = -(weights * teacher.log_softmax(-1).gather(-1, best.indices)).sum()
    torch.testing.assert_close(entropy.double(), expected, rtol=1e-4, atol=1e-4)
    assert other > entropy


def test_the_loss_is_a_mixture_for_rows_with_a_teacher_and_unchanged_for_others(model, tokenizer):
    def loss(items, share):
        model.distillation = share
        return model(**collate(items)).loss.item()

    taught, untaught = row(tokenizer, RowReading()), row(tokenizer, RowReading(), teacher_tokens=0)
    alone = loss([untaught], 0.0)
    assert loss([taught], 0.0) == pytest.approx(alone)
    assert loss([untaught], 0.5) == pytest.approx(alone)
    whole, half = loss([taught], 1.0), loss([taught], 0.5)
    assert half == pytest.approx((alone + whole) / 2, rel=1e-5)
    assert loss([taught, untaught], 1.0) == pytest.approx((alone + whole) / 2, rel=1e-5)
    assert whole != pytest.approx(alone, rel=1e-3)


def test_no_gradient_flows_through_the_teacher(model, tokenizer):
    batch = collate([row(tokenizer, RowReading())])
    model.distillation = 1.0
    with torch.no_grad():
        logits = model._teacher_logits(batch["teacher_ids"], batch["teacher_labels"][:, 1:] != NO_LOSS)
    assert model.training
    model(**batch).loss.backward()
    changed = model._teacher_logits(batch["teacher_ids"], batch["teacher_labels"][:, 1:] != NO_LOSS)
    torch.testing.assert_close(changed.detach(), logits)

"""What training needs of the model: autocast, gradient checkpointing, transformers' Trainer."""

from dataclasses import replace

import pytest
import torch
from transformers import Trainer, TrainingArguments

from sharedllm_core import PastContext
from tests import tiny

TEXT = tiny.ids(12, seed=5)[None]


def loss_and_gradients(model, past):
    model.zero_grad()
    loss = model(TEXT, past_context=past, labels=TEXT).loss
    loss.backward()
    return loss.detach(), {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}


@pytest.mark.parametrize("name", tiny.BASES)
def test_autocast_trains_every_family(bases, name):
    model = tiny.with_injection(bases(name)).train()
    model.method = replace(model.method, split_noise_tokens=0)
    exact = model(
        TEXT, past_context=model.encode_past_context(tiny.chunks(32, 9), tiny.ids(5)), labels=TEXT
    ).loss.item()
    with torch.autocast("cpu", torch.bfloat16):
        past = model.encode_past_context(tiny.chunks(32, 9), tiny.ids(5))
        mixed = PastContext.stack([past, None])
        loss = model(TEXT, past_context=past, labels=TEXT).loss
        model(TEXT.repeat(2, 1), past_context=mixed, labels=TEXT.repeat(2, 1)).loss.backward()
    assert loss.isfinite()
    assert abs(loss.item() - exact) < 0.5
    assert all(w.grad.isfinite().all() for w in model.injection.parameters())


def test_gradient_checkpointing_changes_no_gradient(bases):
    model = tiny.with_injection(bases("qwen3"), replace(tiny.METHOD, split_noise_tokens=0)).train()
    results = []
    for checkpointing in (False, True):
        if checkpointing:
            tiny.checkpoint_activations(model)
        past = model.encode_past_context(tiny.chunks(32, 20), tiny.ids(5))
        results.append(loss_and_gradients(model, past))
    assert torch.equal(results[0][0], results[1][0])
    for name, gradient in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], gradient, atol=1e-6, rtol=1e-5)


def test_only_the_injection_is_trained_when_only_it_asks_for_gradients(bases):
    model = tiny.with_injection(bases("llama")).train()
    model.requires_grad_(False)
    model.injection.requires_grad_(True)
    past = model.encode_past_context(tiny.chunks(32, 20), tiny.ids(5))
    assert not past.values[0].requires_grad
    _, gradients = loss_and_gradients(model, past)
    assert set(gradients) == {f"injection.{name}" for name, _ in model.injection.named_parameters()}
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


def test_a_past_context_used_without_gradients_can_be_trained_with(model):
    with torch.inference_mode():
        model(TEXT, past_context=model.encode_past_context(tiny.chunks(9), tiny.ids(5)))
    past = model.encode_past_context(tiny.chunks(32), tiny.ids(5))
    with torch.inference_mode():
        model(TEXT, past_context=past)
    loss_and_gradients(model.train(), past)


def test_transformers_trainer_learns_from_the_past_context(bases, tmp_path):
    model = tiny.untrained(bases("llama"))
    model.requires_grad_(False)
    model.injection.requires_grad_(True)
    rows = [{"input_ids": tiny.ids(12, seed=i), "chunk": tiny.ids(32, seed=50 + i)} for i in range(4)]

    def collate(batch):
        ids = torch.stack([row["input_ids"] for row in batch])
        pasts = [model.encode_past_context([row["chunk"]], row["input_ids"]) for row in batch]
        return {"input_ids": ids, "labels": ids, "past_context": PastContext.stack(pasts)}

    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=30,
        learning_rate=0.02,
        per_device_train_batch_size=2,
        remove_unused_columns=False,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
    before = trainer.evaluate(rows)["eval_loss"]
    trainer.train()
    assert trainer.evaluate(rows)["eval_loss"] < before - 0.1

"""Gradients of what is trained agree with finite differences; what is frozen does not move by one bit."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from transformers.models.llama import modeling_llama

from sharedllm_core.training.batch import collate
from sharedllm_core.training.items import NO_LOSS, Item
from sharedllm_core.training.trainable import TrainableSharedLLMForCausalLM, set_trained
from tests import tiny

METHOD = replace(tiny.METHOD, split_noise_tokens=0.0)
POLICIES = {"language_modelling": "right", "instruction": "similarity"}


def make(bases, phase, dtype=torch.float64, name="llama"):
    method = replace(METHOD, policy=POLICIES[phase])
    model = TrainableSharedLLMForCausalLM.from_base(bases(name), method, dtype=dtype)
    torch.manual_seed(1)
    tiny.randomise(model.injection)
    model.own_last = phase == "language_modelling"
    return model.train()


def batch_of(seed=0, lengths=((32, 20), (9,), ())):
    items = []
    for row, chunks in enumerate(lengths):
        ids = tiny.ids(7 + row, seed=seed + 50 + row)
        labels = ids.clone()
        labels[:3] = NO_LOSS
        items.append(Item(tiny.chunks(*chunks, seed=seed + row + 1), tiny.ids(4, seed=seed + row), ids, labels))
    return collate(items)


class Norm64(torch.nn.Module):
    """The family's norm without its detour by float32."""

    def __init__(self, norm):
        super().__init__()
        self.weight, self.eps = norm.weight, norm.variance_epsilon

    def forward(self, hidden):
        return self.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.eps)


@contextmanager
def everything_in_float64(model, monkeypatch):
    """Norms, rotary tables and softmax in float64, where transformers takes float32."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, modeling_llama.LlamaRMSNorm):
                setattr(parent, name, Norm64(child))
    rotary = model.model.rotary_emb
    inv_freq = rotary.inv_freq.double()

    def tables(_, position_ids):
        angle = position_ids[..., None].double() * inv_freq
        angle = torch.cat((angle, angle), dim=-1)
        return angle.cos(), angle.sin()

    monkeypatch.setattr(rotary, "forward", tables)
    softmax = torch.nn.functional.softmax
    monkeypatch.setattr(torch.nn.functional, "softmax", lambda x, dim, **_: softmax(x, dim=dim))
    model.set_attn_implementation("eager")
    yield


def logits_of(model, batch):
    return model(**{name: part for name, part in batch.items() if name != "labels"}).logits


def loss_of(model, batch):
    """transformers' loss takes float32 as well."""
    logits = logits_of(model, batch)
    assert logits.dtype == torch.float64
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=NO_LOSS
    )


@pytest.mark.parametrize("phase", POLICIES)
@pytest.mark.parametrize("trained", ["injection", "injection+upper", "all"])
def test_gradients_agree_with_finite_differences(bases, phase, trained, monkeypatch):
    model = make(bases, phase)
    set_trained(model, trained)
    batch = batch_of()
    with everything_in_float64(model, monkeypatch):
        loss = loss_of(model, batch)
        loss.backward()
        generator = torch.Generator().manual_seed(3)
        for name, weight in model.named_parameters():
            if not weight.requires_grad:
                assert weight.grad is None, name
                continue
            direction = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            step, losses = 1e-5, []
            for sign in (1, -1):
                with torch.no_grad():
                    weight.add_(sign * step * direction)
                    losses.append(float(loss_of(model, batch)))
                    weight.sub_(sign * step * direction)
            measured = (losses[0] - losses[1]) / (2 * step)
            expected = float((weight.grad * direction).sum())
            assert measured == pytest.approx(expected, rel=1e-4, abs=1e-7), name


@pytest.mark.parametrize("name", ["llama", "qwen3"])
@pytest.mark.parametrize("trained", ["injection", "injection+upper", "all"])
def test_what_is_frozen_does_not_move_by_one_bit_and_what_is_trained_does(bases, trained, name):
    model = make(bases, "instruction", torch.float32, name)
    count = set_trained(model, trained)
    assert count == sum(w.numel() for w in model.parameters() if w.requires_grad)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad], lr=1e-2, weight_decay=0.1)
    for seed in range(3):
        model(**batch_of(seed)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    bottom = tuple(f"model.layers.{i}." for i in range(METHOD.injection_layers))
    for name, weight in model.named_parameters():  # noqa: PLR1704
        is_upper = name.startswith("model.layers.") and not name.startswith(bottom)
        moves = trained == "all" or name.startswith("injection.") or (trained == "injection+upper" and is_upper)
        assert torch.equal(weight, before[name]) != moves, name


def test_rows_learn_from_their_own_documents_as_one_by_one(bases):
    model = make(bases, "instruction")
    whole = batch_of()
    model(**whole).loss.backward()
    together = {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}
    counted = int((whole["labels"][:, 1:] != NO_LOSS).sum())
    model.zero_grad()
    for row, chunks in enumerate(((32, 20), (9,), ())):
        ids = tiny.ids(7 + row, seed=50 + row)
        labels = ids.clone()
        labels[:3] = NO_LOSS
        one = collate([Item(tiny.chunks(*chunks, seed=row + 1), tiny.ids(4, seed=row), ids, labels)])
        model(**one, num_items_in_batch=counted).loss.backward()
    for name, grad in together.items():
        torch.testing.assert_close(model.get_parameter(name).grad, grad, rtol=1e-5, atol=1e-6, msg=name)


def test_a_row_sees_the_trees_of_others_only_when_asked_to(bases):
    model = make(bases, "instruction")
    alone = logits_of(model, batch_of())
    torch.testing.assert_close(logits_of(model, batch_of()), alone, rtol=0, atol=0)
    model.rows_seen = 2
    shared = logits_of(model, batch_of())
    assert not torch.allclose(shared[0], alone[0])
    model.rows_seen, model.random_chunk_positions = 1, 1000
    moved = logits_of(model, batch_of())
    assert not torch.allclose(moved[0], alone[0])
    assert torch.allclose(moved[2, :9], alone[2, :9])  # it has no documents


def test_training_injects_what_asking_injects(bases):
    model = make(bases, "instruction").eval()
    (chunks,) = ([tiny.chunks(32, 20, seed=1)],)
    query, ids = tiny.ids(4), tiny.ids(7, seed=50)
    batch = collate([Item(chunks[0], query, ids, ids)])
    with torch.no_grad():
        past = model.encode_past_context(chunks[0], query)
        expected = super(TrainableSharedLLMForCausalLM, model).forward(ids[None], past_context=past).logits
        torch.testing.assert_close(logits_of(model, batch), expected)


def test_the_loss_is_that_of_all_logits(bases):
    model = make(bases, "instruction", torch.float32).eval()
    batch = batch_of()
    logits, labels = logits_of(model, batch), batch["labels"]
    expected = model.loss_function(logits=logits, labels=labels, vocab_size=model.vocab_size)
    torch.testing.assert_close(model(**batch).loss, expected)
    shared = model.loss_function(logits=logits, labels=labels, vocab_size=model.vocab_size, num_items_in_batch=99)
    torch.testing.assert_close(model(**batch, num_items_in_batch=99).loss, shared)
    assert model(**batch).logits is None

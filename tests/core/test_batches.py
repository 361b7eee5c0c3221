"""A batch computes what its rows compute alone."""

import pytest
import torch

from sharedllm_core import PastContext
from tests import tiny

ATTENTION = pytest.mark.parametrize("attention", ["eager", "sdpa"])


def rows(model):
    """Four running texts of different lengths, one of them without past context, two with the same one."""
    texts = [tiny.ids(length, seed=length) for length in (12, 5, 9, 1)]
    shared = model.encode_past_context(tiny.chunks(32, 32, 11), tiny.ids(5))
    other = model.encode_past_context(tiny.chunks(3, seed=8), tiny.ids(4))
    return texts, [shared, None, other, shared]


def views(pasts):
    return PastContext.stack(pasts).views(tiny.METHOD, torch.device("cpu"), torch.float32)


def padded(texts):
    longest = max(len(text) for text in texts)
    ids = torch.stack([torch.nn.functional.pad(text, (longest - len(text), 0)) for text in texts])
    mask = torch.stack([(torch.arange(longest) >= longest - len(text)).long() for text in texts])
    return ids, mask


@pytest.mark.parametrize("name", tiny.BASES)
@ATTENTION
@torch.no_grad()
def test_a_left_padded_batch_equals_its_rows_alone(bases, name, attention):
    model = tiny.with_injection(bases(name), attn_implementation=attention)
    texts, pasts = rows(model)
    ids, mask = padded(texts)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    together = model(ids, attention_mask=mask, position_ids=positions, past_context=PastContext.stack(pasts)).logits
    assert torch.isfinite(together).all()
    for row, (text, past) in enumerate(zip(texts, pasts, strict=True)):
        alone = model(text[None], past_context=past).logits[0]
        torch.testing.assert_close(together[row, -len(text) :], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3, "length_penalty": 0.5}])
def test_generating_for_a_batch_equals_generating_for_its_rows(model, options):
    texts, pasts = rows(model)
    ids, mask = padded(texts)
    settings = {"max_new_tokens": 10, "eos_token_id": None, **options}
    together = model.generate(ids, attention_mask=mask, past_context=PastContext.stack(pasts), **settings)
    for row, (text, past) in enumerate(zip(texts, pasts, strict=True)):
        alone = model.generate(text[None], attention_mask=torch.ones(1, len(text)), past_context=past, **settings)
        assert together[row, -10:].tolist() == alone[0, -10:].tolist()


@torch.no_grad()
def test_one_past_context_serves_all_rows(model):
    texts, (past, *_) = rows(model)
    ids, mask = padded(texts)
    one = model(ids, attention_mask=mask, past_context=past).logits
    four = model(ids, attention_mask=mask, past_context=PastContext.stack([past] * 4)).logits
    assert torch.equal(one, four)


@torch.no_grad()
def test_rows_without_past_context_add_exactly_nothing(model):
    _, (past, *_) = rows(model)
    hidden = torch.randn(2, 3, 32)
    added = model.injection[0](hidden, views([None, past]))
    assert torch.equal(added[0], torch.zeros(3, 32))
    assert added[1].abs().max() > 0
    assert not views([None, None])


@ATTENTION
@torch.no_grad()
def test_every_query_sees_every_state_also_when_there_are_fewer_states_than_queries(bases, attention):
    """With a causal default, or keys cut to the queries' length, early tokens would miss late states."""
    model = tiny.with_injection(bases("llama"), attn_implementation=attention)
    hidden = torch.randn(1, 40, 32)
    few = model.encode_past_context(tiny.chunks(32), tiny.ids(5))
    many = model.encode_past_context(tiny.chunks(*[32] * 9), tiny.ids(5))
    for past in (few, many):
        together = model.injection[1](hidden, views([past]))
        one_by_one = [model.injection[1](hidden[:, t : t + 1], views([past])) for t in range(40)]
        torch.testing.assert_close(together, torch.cat(one_by_one, dim=1), atol=1e-5, rtol=1e-5)

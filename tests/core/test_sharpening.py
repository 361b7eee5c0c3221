"""Beyond the paper: attention to the states of a long past context is sharpened."""

from dataclasses import replace
from math import log

import pytest
import torch

from sharedllm_core import ConfigError
from tests import tiny

PROMPT = tiny.ids(6)[None]


def logits(model, past, **changes):
    model.set_method(replace(model.method, **changes))
    with torch.no_grad():
        return model(PROMPT, past_context=past).logits


def test_a_past_context_of_more_states_has_its_logits_multiplied(model):
    past = model.encode_past_context(tiny.chunks(32, 32, 32), tiny.ids(5))
    assert past.num_states > 10
    sharpened = logits(model, past, sharpen_above=10)
    plain = logits(model, past, sharpen_above=None)
    for injection in model.injection:
        injection.scaling *= log(past.num_states) / log(10)
    assert torch.allclose(sharpened, logits(model, past), atol=1e-6)
    assert not torch.allclose(sharpened, plain, atol=1e-4)


def test_a_past_context_of_no_more_states_is_seen_as_ever(model):
    past = model.encode_past_context(tiny.chunks(32, 32), tiny.ids(5))
    assert torch.equal(logits(model, past, sharpen_above=past.num_states), logits(model, past, sharpen_above=None))


def test_states_made_before_it_was_set_are_still_known(model):
    past = model.encode_past_context(tiny.chunks(32), tiny.ids(5))
    model._verified_pasts.clear()
    assert logits(model, past, sharpen_above=2).isfinite().all()


@pytest.mark.parametrize("wrong", [1, 0, 2.5, True])
def test_a_number_that_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError, match="sharpen_above"):
        replace(tiny.METHOD, sharpen_above=wrong)

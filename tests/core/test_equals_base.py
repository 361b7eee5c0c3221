"""What an injection must not change: everything, until it is trained or where there is no past context."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM

from sharedllm_core import PastContext
from tests import tiny

FAMILIES = pytest.mark.parametrize("name", tiny.BASES)
ATTENTION = pytest.mark.parametrize("attention", ["eager", "sdpa"])
PROMPT = torch.stack([tiny.ids(9, seed=1), tiny.ids(9, seed=2)])


def pair(folder, attention="sdpa"):
    base = AutoModelForCausalLM.from_pretrained(folder, attn_implementation=attention).eval()
    return base, tiny.untrained(folder, attn_implementation=attention)


@FAMILIES
@ATTENTION
@torch.no_grad()
def test_without_past_context_logits_are_the_base_models(bases, name, attention):
    base, model = pair(bases(name), attention)
    assert torch.equal(model(PROMPT).logits, base(PROMPT).logits)


@FAMILIES
@ATTENTION
@torch.no_grad()
def test_an_untrained_injection_changes_no_logit(bases, name, attention):
    base, model = pair(bases(name), attention)
    past = model.encode_past_context(tiny.chunks(32, 32, 11), tiny.ids(5))
    assert past.num_states > 0
    assert torch.equal(model(PROMPT, past_context=past).logits, base(PROMPT).logits)


@FAMILIES
@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}])
def test_generate_gives_the_base_models_tokens(bases, name, options):
    base, model = pair(bases(name))
    past = model.encode_past_context(tiny.chunks(32, 7), tiny.ids(5))
    results = []
    for generator, extra in ((base, {}), (model, {}), (model, {"past_context": past})):
        torch.manual_seed(7)
        mask = torch.ones_like(PROMPT)
        results.append(generator.generate(PROMPT, attention_mask=mask, max_new_tokens=12, **options, **extra))
    assert torch.equal(results[1], results[0])
    assert torch.equal(results[2], results[0])


@FAMILIES
@torch.no_grad()
def test_a_trained_injection_sees_the_past_context(bases, name):
    model = tiny.with_injection(bases(name))
    without = model(PROMPT).logits
    one, other = (model.encode_past_context(tiny.chunks(32, 20, seed=seed), tiny.ids(5)) for seed in (1, 2))
    assert tiny.relative(model(PROMPT, past_context=one).logits, without) > 0.01
    assert tiny.relative(model(PROMPT, past_context=one).logits, model(PROMPT, past_context=other).logits) > 0.01


@FAMILIES
@torch.no_grad()
def test_an_empty_past_context_gives_the_base_models_logits(bases, name):
    model = tiny.with_injection(bases(name))
    for past in (model.encode_past_context([]), model.encode_past_context([[]]), PastContext.stack([None, None])):
        assert torch.equal(model(PROMPT, past_context=past).logits, model(PROMPT).logits)


@FAMILIES
def test_parameters_are_the_bases_and_the_injections(bases, name):
    base, model = pair(bases(name))
    injection = sum(weight.numel() for weight in model.injection.parameters())
    assert sum(w.numel() for w in model.parameters()) == sum(w.numel() for w in base.parameters()) + injection
    attention = base.model.layers[0].self_attn
    per_layer = 2 * attention.q_proj.weight.numel() + base.config.hidden_size
    per_layer += 0 if attention.q_proj.bias is None else attention.q_proj.bias.numel()
    per_layer += attention.q_norm.weight.numel() if hasattr(attention, "q_norm") else 0
    assert injection == 2 * per_layer


@FAMILIES
def test_the_state_dict_has_the_base_names_and_the_injections(bases, name):
    base, model = pair(bases(name))
    parts = {"q_proj.weight", "o_proj.weight", "layernorm.weight"}
    attention = base.model.layers[0].self_attn
    parts |= {"q_proj.bias"} if attention.q_proj.bias is not None else set()
    parts |= {"q_norm.weight"} if hasattr(attention, "q_norm") else set()
    added = {f"injection.{layer}.{part}" for layer in range(2) for part in parts}
    assert set(model.state_dict()) == set(base.state_dict()) | added


@FAMILIES
def test_an_injection_starts_as_a_copy_with_a_zero_output(bases, name):
    _, model = pair(bases(name))
    for layer, injection in enumerate(model.injection):
        base_layer = model.model.layers[layer]
        assert torch.equal(injection.q_proj.weight, base_layer.self_attn.q_proj.weight)
        assert torch.equal(injection.layernorm.weight, base_layer.post_attention_layernorm.weight)
        assert not injection.o_proj.weight.any()
        if injection.q_norm is not None:
            assert torch.equal(injection.q_norm.weight, base_layer.self_attn.q_norm.weight)
        if injection.q_proj.bias is not None:
            assert torch.equal(injection.q_proj.bias, base_layer.self_attn.q_proj.bias)


@torch.no_grad()
def test_hidden_states_and_attentions_are_given_as_the_base_model_gives_them(bases):
    base, model = pair(bases("qwen3"), "eager")
    asked = {"output_hidden_states": True, "output_attentions": True}
    theirs, ours = base(PROMPT, **asked), model(PROMPT, **asked)
    for name in ("hidden_states", "attentions"):
        assert len(ours[name]) == len(theirs[name])
        assert all(torch.equal(a, b) for a, b in zip(ours[name], theirs[name], strict=True))


def test_the_loss_is_the_base_models(bases):
    base, model = pair(bases("llama"))
    labels = PROMPT.clone()
    labels[:, :3] = -100
    assert torch.equal(model(PROMPT, labels=labels).loss, base(PROMPT, labels=labels).loss)


@torch.no_grad()
def test_a_tuple_is_returned_when_asked_for(bases):
    base, model = pair(bases("llama"))
    assert torch.equal(model(PROMPT, return_dict=False)[0], base(PROMPT, return_dict=False)[0])


@torch.no_grad()
def test_a_pickled_model_answers_the_same(model, tmp_path):
    past = model.encode_past_context(tiny.chunks(32), tiny.ids(5))
    expected = model(PROMPT, past_context=past).logits
    torch.save((model, past), tmp_path / "both.pt")
    again, read = torch.load(tmp_path / "both.pt", weights_only=False)
    assert torch.equal(again(PROMPT, past_context=read).logits, expected)


@torch.no_grad()
def test_a_copied_model_reads_with_its_own_weights(model):
    copied = copy.deepcopy(model)
    tiny.randomise(copied.model)
    fresh = model.encode_past_context(tiny.chunks(32), tiny.ids(5))
    other = copied.encode_past_context(tiny.chunks(32), tiny.ids(5))
    assert not torch.allclose(fresh.values[0], other.values[0])

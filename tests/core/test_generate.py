"""Everything that transformers' `generate` offers, with a past context."""

import pytest
import torch
from transformers import (
    AttentionInterface,
    AutoModelForCausalLM,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TextStreamer,
)

from sharedllm_core import PastContext, WindowError
from sharedllm_core.method.context_tree import whole_chunk
from sharedllm_core.model.lower_model import PastTokens
from sharedllm_core.model.renamed import KV_CACHE
from tests import tiny

PROMPT = tiny.ids(7, seed=3)[None]
MASK = torch.ones_like(PROMPT)
NEW = {"max_new_tokens": 14, "eos_token_id": None, "attention_mask": MASK}


@pytest.fixture
def past(model):
    return model.encode_past_context(tiny.chunks(32, 32, 21), tiny.ids(5))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 4},
        {"num_beams": 4, "num_return_sequences": 3},
        {"do_sample": True, "temperature": 0.8, "top_p": 0.9},
        {"do_sample": True, "num_return_sequences": 4},
        {"num_beams": 2, "do_sample": True},
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    ],
)
def test_generation_with_the_cache_equals_generation_without(model, past, options):
    outcomes = []
    for use_cache in (True, False):
        torch.manual_seed(11)
        outcomes.append(model.generate(PROMPT, past_context=past, use_cache=use_cache, **NEW, **options))
    assert torch.equal(*outcomes)


@torch.no_grad()
def test_greedy_generation_takes_the_largest_logit_at_each_step(model, past):
    ids = PROMPT
    for _ in range(14):
        ids = torch.cat((ids, model(ids, past_context=past).logits[:, -1:].argmax(-1)), dim=1)
    assert torch.equal(model.generate(PROMPT, past_context=past, **NEW), ids)
    assert not torch.equal(model.generate(PROMPT, **NEW), ids), "the past context must matter here"


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"do_sample": True, "num_return_sequences": 3}])
def test_beams_and_samples_keep_their_rows_past_context(model, past, options):
    other = model.encode_past_context(tiny.chunks(30, seed=4), tiny.ids(5))
    two = {"attention_mask": torch.ones(2, 7), "max_new_tokens": 8, "eos_token_id": None}
    stacked = PastContext.stack([past, other])
    together = model.generate(PROMPT.repeat(2, 1), past_context=stacked, **two, **options)
    assert len(together) == 2 * options.get("num_return_sequences", 1)
    if "num_beams" in options:
        for row, of in zip(together, (past, other), strict=True):
            alone = model.generate(PROMPT, past_context=of, max_new_tokens=8, eos_token_id=None, **options)
            assert torch.equal(row[None], alone)


def test_streamed_tokens_are_the_generated_ones(model, past):
    class Collect(TextStreamer):
        def __init__(self):
            self.ids = []

        def put(self, value):
            self.ids += value.flatten().tolist()

        def end(self):
            self.ids.append("end")

    streamer = Collect()
    generated = model.generate(PROMPT, past_context=past, streamer=streamer, **NEW)
    assert streamer.ids == [*generated[0].tolist(), "end"]


def test_logits_processors_and_stopping_criteria_are_obeyed(model, past):
    class Only(LogitsProcessor):
        def __call__(self, ids, scores):
            return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor([42]), 0.0)

    class After(StoppingCriteria):
        def __call__(self, ids, scores, **kwargs):
            return torch.full((len(ids),), ids.shape[1] >= PROMPT.shape[1] + 5)

    generated = model.generate(
        PROMPT,
        past_context=past,
        logits_processor=LogitsProcessorList([Only()]),
        stopping_criteria=StoppingCriteriaList([After()]),
        **NEW,
    )
    assert generated[0, PROMPT.shape[1] :].tolist() == [42] * 5


def test_a_static_cache_and_prompt_look_up_give_the_same_tokens(model, past):
    asked = NEW | {"eos_token_id": 2, "past_context": past}
    plain = model.generate(PROMPT, **asked)
    assert torch.equal(model.generate(PROMPT, cache_implementation="static", **asked), plain)
    assert torch.equal(model.generate(PROMPT, prompt_lookup_num_tokens=3, **asked), plain)


@torch.no_grad()
def test_embeddings_can_stand_for_ids(model, past):
    embedded = model.get_input_embeddings()(PROMPT)
    assert torch.equal(model(inputs_embeds=embedded, past_context=past).logits, model(PROMPT, past_context=past).logits)
    new = model.generate(inputs_embeds=embedded, past_context=past, **NEW)
    assert torch.equal(new, model.generate(PROMPT, past_context=past, **NEW)[:, 7:])


def test_scores_and_logits_are_returned_when_asked_for(model, past):
    out = model.generate(
        PROMPT, past_context=past, return_dict_in_generate=True, output_logits=True, output_scores=True, **NEW
    )
    assert len(out.logits) == len(out.scores) == 14
    assert out[KV_CACHE].get_seq_length() == 7 + 13


def test_a_request_beyond_the_window_is_refused_before_anything_is_generated(model, past):
    with pytest.raises(WindowError, match=r"7 tokens of running text and 300 tokens to generate.*ask for at most 249"):
        model.generate(PROMPT, past_context=past, max_new_tokens=300)
    with pytest.raises(WindowError, match="ask for at most 249"):
        model.generate(PROMPT, past_context=past, max_length=257)
    longest = model.generate(PROMPT, max_new_tokens=249, eos_token_id=None, attention_mask=MASK)
    assert longest.shape == (1, 256)


def test_padding_on_the_left_does_not_count_for_the_window(model):
    ids = torch.nn.functional.pad(PROMPT, (245, 0))
    mask = torch.nn.functional.pad(MASK, (245, 0))
    generated = model.generate(ids, attention_mask=mask, max_new_tokens=20, eos_token_id=None)
    alone = model.generate(PROMPT, attention_mask=MASK, max_new_tokens=20, eos_token_id=None)
    assert torch.equal(generated[:, 245:], alone)
    with pytest.raises(WindowError, match="7 tokens of running text and 250 tokens to generate"):
        model.generate(ids, attention_mask=mask, max_new_tokens=250)


@pytest.mark.parametrize("prompt_tokens", [5, 240, 250])
def test_a_default_request_is_as_long_as_the_base_models(bases, prompt_tokens):
    base = AutoModelForCausalLM.from_pretrained(bases("llama")).eval()
    prompt = tiny.ids(prompt_tokens)[None]
    mask = torch.ones_like(prompt)
    for config in (None, GenerationConfig(do_sample=False, eos_token_id=None)):
        expected = base.generate(prompt, config, attention_mask=mask)
        assert torch.equal(tiny.untrained(bases("llama")).generate(prompt, config, attention_mask=mask), expected)


def test_the_models_own_generation_settings_count_for_the_window(model):
    model.generation_config.max_new_tokens = 40
    with pytest.raises(WindowError, match="230 tokens of running text and 40 tokens to generate"):
        model.generate(tiny.ids(230)[None], GenerationConfig(do_sample=False))


@pytest.mark.parametrize("name", tiny.BASES)
@pytest.mark.parametrize("options", [{}, {"num_beams": 2}])
def test_the_cache_changes_no_token_in_any_family(bases, name, options):
    model = tiny.with_injection(bases(name))
    past = PastContext.stack([model.encode_past_context(tiny.chunks(32, 5), tiny.ids(5)), None])
    ids, mask = torch.nn.functional.pad(PROMPT.repeat(2, 1), (2, 0)), torch.ones(2, 9, dtype=torch.long)
    mask[0, :2] = 0
    asked = {"attention_mask": mask, "past_context": past, "max_new_tokens": 9, "eos_token_id": None, **options}
    assert torch.equal(model.generate(ids, use_cache=True, **asked), model.generate(ids, use_cache=False, **asked))


@torch.no_grad()
def test_the_attention_implementation_can_be_changed_after_loading(model, past):
    sdpa = model(PROMPT, past_context=past).logits
    model.set_attn_implementation("eager")
    assert {part.config._attn_implementation for part in model.injection} == {"eager"}
    torch.testing.assert_close(model(PROMPT, past_context=past).logits, sdpa, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_any_implementation_of_the_attention_interface_is_used_without_a_mask(model, past):
    """What flash attention asks of its callers, shown on a stand-in that computes the same on a CPU."""
    seen = []

    def flash(module, query, key, value, attention_mask, scaling, is_causal=None, **_):
        causal = module.is_causal if is_causal is None else is_causal
        seen.append((attention_mask, causal, query.shape[2], key.shape[2]))
        groups = query.shape[1] // key.shape[1]
        key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=causal, scale=scaling)
        return mixed.transpose(1, 2), None

    expected = model(PROMPT, past_context=past).logits
    AttentionInterface.register("stand-in/flash", flash)
    for part in (model.model.config, *(injection.config for injection in model.injection)):
        part._attn_implementation = "stand-in/flash"
    states = model.lower_model.states(PastTokens([tiny.ids(32)], torch.device("cpu")), [[whole_chunk(32)]])
    assert len(list(states)) == 1
    assert seen == [(None, True, 32, 32)], "nodes are read without a mask"
    seen.clear()
    batch = PastContext.stack([past]).views(model.method, torch.device("cpu"), torch.float32)
    added = model.injection[0](torch.randn(1, 7, 32), batch)
    assert added.shape == (1, 7, 32)
    assert seen == [(None, False, 2 * 7, past.num_states)], "the injection is not causal"
    model.set_attn_implementation("sdpa")
    assert torch.equal(model(PROMPT, past_context=past).logits, expected)

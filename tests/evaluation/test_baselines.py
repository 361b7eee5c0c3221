"""Every baseline equals a naive computation of itself on a small case."""

import copy
import sys

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from sharedllm_core import (
    ConfigError,
    DeviceMemoryError,
    Document,
    InputError,
    SharedLLMConfig,
    SharedLLMEngine,
    TokenIdError,
    UnsupportedBaseError,
    WindowError,
)
from sharedllm_core.evaluation.baselines import SYSTEMS, make_system
from sharedllm_core.evaluation.baselines.prompt import PromptLayout, document_ids
from sharedllm_core.evaluation.perplexity import Perplexity
from sharedllm_core.evaluation.system import System
from sharedllm_core.model.renamed import KV_CACHE
from tests import tiny, tiny_engine

WINDOW = 96
QUESTION = "When is the rent paid?"
QUESTIONS = [QUESTION, "Who signed the lease and when?", "harbour"]
DOCUMENTS = [*tiny_engine.documents(3, 50), Document("", id="empty")]
NEW = 6


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A window of 96 tokens, and documents of several windows."""
    folder = tmp_path_factory.mktemp("baselines")
    return tiny_engine.make_engine(tiny_engine.make_checkpoint(folder, max_position_embeddings=WINDOW))


@pytest.fixture(scope="module")
def encoder_decoder_engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder-decoder")
    method = SharedLLMConfig.encoder_decoder(4, chunk_tokens=32)
    return tiny_engine.make_engine(tiny_engine.make_checkpoint(folder, method, max_position_embeddings=WINDOW))


def engine_on(bases, name):
    """An engine for ids alone: the tokenizer is another one's."""
    model = tiny.with_injection(bases(name))
    return SharedLLMEngine(model, tiny_engine.tokenizer(), cache=tiny_engine.memory_cache())


def engine_for(name, engine, encoder_decoder_engine):
    return encoder_decoder_engine if name == "encoder_decoder" else engine


def plain_base(engine, **rope):
    """transformers' own model from a copy of the weights, its RoPE as its configuration says."""
    config = copy.deepcopy(engine.model.config.text_config)
    if rope:
        config.rope_parameters = {**config.rope_parameters, **rope}
    base = AutoModelForCausalLM.from_config(config)
    state = {n: w.clone() for n, w in engine.model.state_dict().items() if not n.startswith("injection.")}
    base.load_state_dict(state)
    base.generation_config.pad_token_id = 0
    return base.eval()


def prompt_of(engine, question=QUESTION, text_ids=None):
    text_ids = document_ids(DOCUMENTS, engine.tokenizer) if text_ids is None else text_ids
    return PromptLayout.of(question, engine.tokenizer).ids(text_ids)


def text_of(engine, ids):
    eos = engine.tokenizer.tokenizer.eos_token_id
    ids = ids.tolist()
    return engine.tokenizer.decode(ids[: ids.index(eos)] if eos in ids else ids)


def generated(engine, base, prompt, new=NEW):
    ids = base.generate(prompt[None], attention_mask=torch.ones(1, len(prompt)), max_new_tokens=new, do_sample=False)
    return text_of(engine, ids[0, len(prompt) :])


@torch.no_grad()
def greedy(logits_of, engine, prompt, new=NEW):
    """Recompute the whole text for each token."""
    ids = prompt
    for _ in range(new):
        ids = torch.cat((ids, logits_of(ids)[-1].argmax()[None]))
    return text_of(engine, ids[len(prompt) :])


@torch.no_grad()
def naive_losses(logits_of, context, target):
    ids = torch.cat((context, target))
    logits = logits_of(ids[:-1])[len(context) - 1 :]
    return cross_entropy(logits, target, reduction="none")


def all_at_once(model, **inputs):
    return lambda ids: model(ids[None], **inputs).logits[0]


@torch.no_grad()
def token_by_token(base, sinks, window):
    """StreamingLLM from its definition: keys unrotated, each step rotates what is kept by its place in the cache."""

    def logits_of(ids):
        kept = [([], []) for _ in base.model.layers]
        rows = []
        for token in ids:
            hidden = base.model.embed_tokens(token[None, None])
            for layer, (keys, values) in zip(base.model.layers, kept, strict=True):
                attention = layer.self_attn
                normed = layer.input_layernorm(hidden)
                q, k, v = (
                    project(normed).view(1, 1, -1, attention.head_dim)
                    for project in (attention.q_proj, attention.k_proj, attention.v_proj)
                )
                if hasattr(attention, "q_norm"):
                    q, k = attention.q_norm(q), attention.k_norm(k)
                keys.append(k.transpose(1, 2))
                values.append(v.transpose(1, 2))
                if len(keys) > window:
                    del keys[sinks], values[sinks]
                places = torch.arange(len(keys))[None]
                cos, sin = base.model.rotary_emb(hidden, places)
                whole = torch.cat(keys, dim=2)
                _, turned = apply_rotary_pos_emb(whole, whole, cos, sin)
                q, _ = apply_rotary_pos_emb(q.transpose(1, 2), q.transpose(1, 2), cos[:, -1:], sin[:, -1:])
                groups = q.shape[1] // whole.shape[1]
                scores = q @ turned.repeat_interleave(groups, 1).transpose(2, 3) * attention.scaling
                mixed = scores.softmax(-1) @ torch.cat(values, dim=2).repeat_interleave(groups, 1)
                hidden = hidden + attention.o_proj(mixed.transpose(1, 2).flatten(2))
                hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
            rows.append(base.lm_head(base.model.norm(hidden))[0, 0])
        return torch.stack(rows)

    return logits_of


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("name", SYSTEMS)
def test_questions_side_by_side_are_answered_as_alone(name, engine, encoder_decoder_engine):
    system = make_system(name, engine_for(name, engine, encoder_decoder_engine))
    assert isinstance(system, System)
    together = system.answers(DOCUMENTS, QUESTIONS, NEW)
    assert together == [system.answers(DOCUMENTS, [question], NEW)[0] for question in QUESTIONS]
    assert any(together)


@pytest.mark.parametrize("name", SYSTEMS)
def test_without_documents_every_system_is_the_base_model(name, engine, encoder_decoder_engine):
    own = engine_for(name, engine, encoder_decoder_engine)
    expected = generated(own, plain_base(own), prompt_of(own, text_ids=torch.zeros(0, dtype=torch.long)))
    assert make_system(name, own).answers([Document("", id="empty")], [QUESTION], NEW) == [expected]


@pytest.mark.parametrize("name", sorted(set(SYSTEMS) - {"bm25_passages"}))
def test_losses_within_the_window_are_one_number_per_token(name, engine, encoder_decoder_engine):
    system = make_system(name, engine_for(name, engine, encoder_decoder_engine))
    losses = system.losses(tiny.ids(300), tiny.ids(20, seed=1))
    assert losses.shape == (20,)
    assert losses.dtype == torch.float32
    assert (losses > 0).all()


@pytest.mark.parametrize("name", ["window_only", "full_attention", "dynamic_ntk", "yarn", "streaming"])
def test_a_text_within_the_window_has_the_base_models_losses(name, engine):
    past, target = tiny.ids(60), tiny.ids(30, seed=1)
    expected = naive_losses(all_at_once(plain_base(engine)), past, target)
    torch.testing.assert_close(make_system(name, engine).losses(past, target), expected, rtol=1e-4, atol=1e-5)


def test_passages_for_questions_have_no_losses(engine):
    system = make_system("bm25_passages", engine)
    assert not system.scores_text
    assert not Perplexity().applies_to(system)
    with pytest.raises(InputError, match="scores no text"):
        system.losses(tiny.ids(30), tiny.ids(5))


@pytest.mark.parametrize("name", SYSTEMS)
def test_input_that_cannot_be_used_is_refused(name, engine, encoder_decoder_engine):
    system = make_system(name, engine_for(name, engine, encoder_decoder_engine))
    with pytest.raises(InputError, match="give a list of questions"):
        system.answers(DOCUMENTS, QUESTION, NEW)
    with pytest.raises(InputError, match="the question is empty"):
        system.answers(DOCUMENTS, ["  "], NEW)
    with pytest.raises(InputError, match="max_new_tokens=0"):
        system.answers(DOCUMENTS, [QUESTION], 0)
    assert system.answers(DOCUMENTS, [], NEW) == []
    if system.scores_text:
        with pytest.raises(InputError, match="past_ids is empty"):
            system.losses(tiny.ids(0), tiny.ids(3))
        with pytest.raises(InputError, match="target_ids is empty"):
            system.losses(tiny.ids(3), tiny.ids(0))
        with pytest.raises(TokenIdError):
            system.losses(tiny.ids(3), torch.tensor([10**6]))


@pytest.mark.parametrize("name", ["sharedllm", "window_only", "encoder_decoder", "bm25", "bm25_past"])
def test_what_is_longer_than_the_window_is_refused(name, engine, encoder_decoder_engine):
    system = make_system(name, engine_for(name, engine, encoder_decoder_engine))
    with pytest.raises(WindowError, match="97 tokens and the base model's window 96"):
        system.losses(tiny.ids(300), tiny.ids(97, seed=1))
    with pytest.raises(WindowError):
        system.answers(DOCUMENTS, [QUESTION], WINDOW)
    assert len(system.losses(tiny.ids(300), tiny.ids(96, seed=1))) == 96


@pytest.mark.parametrize("name", SYSTEMS)
def test_too_little_memory_is_a_result(name, engine, encoder_decoder_engine, monkeypatch):
    own = engine_for(name, engine, encoder_decoder_engine)
    system = make_system(name, own)

    def fail(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    for model in (own.model, getattr(system, "base", own.model)):
        monkeypatch.setattr(model.model, "forward", fail)
    with pytest.raises(DeviceMemoryError, match=system.name):
        system.answers(DOCUMENTS, [QUESTION], NEW)
    with pytest.raises(DeviceMemoryError if system.scores_text else InputError, match=system.name):
        system.losses(tiny.ids(50), tiny.ids(5))


def test_a_name_that_is_not_known_is_refused(engine):
    with pytest.raises(InputError, match="system 'best' is not known; use one of sharedllm, window_only"):
        make_system("best", engine)


# ------------------------------------------------------------------------------------------------ the prompt


def test_the_prompt_is_the_template_around_documents_and_question(engine):
    tokenizer = engine.tokenizer
    text = "\n\n".join(document.text for document in DOCUMENTS[:3])
    whole = tokenizer.tokenizer.decode(prompt_of(engine))
    assert whole == f"<|user|>{text}\n\n{QUESTION}<|end|><|assistant|>"


def test_what_a_document_says_is_text_even_where_it_looks_like_a_special_token(engine):
    ids = document_ids([Document("rent <|end|> paid", id="d")], engine.tokenizer)
    assert engine.tokenizer.tokenizer.eos_token_id not in ids.tolist()


@pytest.mark.parametrize("name", ["sharedllm", "window_only", "bm25", "full_attention"])
def test_answers_are_greedy_whatever_the_checkpoints_generation_config_says(name, engine, tmp_path):
    settings = {"do_sample": True, "temperature": 9.0, "repetition_penalty": 5.0}
    folder = tiny_engine.with_generation_config(engine.model.name_or_path, tmp_path / "sampled", **settings)
    systems = [make_system(name, one) for one in (engine, tiny_engine.make_engine(folder))]
    greedy, sampled = [system.answers(DOCUMENTS, QUESTIONS, NEW) for system in systems]
    assert sampled == greedy


# ------------------------------------------------------------------------------------------------ SharedLLM


def test_sharedllm_answers_as_its_engine(engine):
    expected = engine.ask_batch(QUESTIONS, engine.library(DOCUMENTS), max_new_tokens=NEW)
    assert make_system("sharedllm", engine).answers(DOCUMENTS, QUESTIONS, NEW) == [answer.text for answer in expected]


def test_sharedllms_losses_are_those_of_the_target_after_the_past_context(engine):
    past, target = tiny.ids(300), tiny.ids(40, seed=1)
    context = engine.model.encode_past_context(past[:-1].split(32), past[-64:])
    expected = naive_losses(all_at_once(engine.model, past_context=context), past[-1:], target)
    torch.testing.assert_close(make_system("sharedllm", engine).losses(past, target), expected, rtol=1e-4, atol=1e-5)


def test_an_encoder_decoder_injects_every_state_of_every_chunk_in_every_layer(encoder_decoder_engine):
    model = encoder_decoder_engine.model
    chunks = tiny.chunks(32, 32, 9)
    past = model.encode_past_context(chunks)
    assert past.num_states == 73
    assert len(past.keys) == model.config.text_config.num_hidden_layers == len(model.injection)
    base = plain_base(encoder_decoder_engine)
    at = 0
    for chunk in chunks:
        cache = base(chunk[None], use_cache=True)[KV_CACHE]
        for layer, values in zip(cache.layers, past.values, strict=True):
            torch.testing.assert_close(values[:, at : at + len(chunk)], layer.values[0], rtol=1e-4, atol=1e-4)
        at += len(chunk)


def test_an_encoder_decoder_of_another_form_is_refused(engine):
    with pytest.raises(ConfigError, match=r"injection_layers=2, tree_depth=3, compression_ratio=4 .*has 4, 0 and 1"):
        make_system("encoder_decoder", engine)


# ------------------------------------------------------------------------------------------------ window only


def test_window_only_generates_from_the_newest_tokens_that_fit(engine):
    text_ids = document_ids(DOCUMENTS, engine.tokenizer)
    beside = len(prompt_of(engine)) - len(text_ids)
    newest = text_ids[-(WINDOW - NEW - beside) :]
    prompt = prompt_of(engine, text_ids=newest)
    assert len(prompt) + NEW == WINDOW
    expected = generated(engine, plain_base(engine), prompt)
    assert make_system("window_only", engine).answers(DOCUMENTS, [QUESTION], NEW) == [expected]


def test_a_question_that_fills_the_window_is_answered_alone(engine):
    layout = PromptLayout.of(QUESTION, engine.tokenizer)
    new = WINDOW - len(layout.head) - len(layout.tail)
    expected = generated(engine, plain_base(engine), layout.alone, new)
    assert make_system("window_only", engine).answers(DOCUMENTS, [QUESTION], new) == [expected]


@pytest.mark.parametrize("length", [1, 40, 96])
def test_window_only_losses_are_those_of_the_last_window(engine, length):
    past, target = tiny.ids(300), tiny.ids(length, seed=1)
    context = torch.cat((past, target))[-(WINDOW + 1) : -length]
    expected = naive_losses(all_at_once(plain_base(engine)), context, target)
    torch.testing.assert_close(make_system("window_only", engine).losses(past, target), expected, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------------------------ full attention

ROPES = {
    "full_attention": lambda length: {},
    "dynamic_ntk": lambda length: {"rope_type": "dynamic", "factor": 1.0},
    "yarn": lambda length: {
        "rope_type": "yarn",
        "factor": max(1.0, length / WINDOW),
        "original_max_position_embeddings": WINDOW,
    },
}


@pytest.mark.parametrize("block_tokens", [7, 64, 4096])
@pytest.mark.parametrize("name", ROPES)
def test_full_attention_in_blocks_has_the_losses_of_one_forward(name, block_tokens, engine):
    past, target = tiny.ids(300), tiny.ids(150, seed=1)
    base = plain_base(engine, **ROPES[name](449))
    expected = naive_losses(all_at_once(base), past, target)
    losses = make_system(name, engine, block_tokens=block_tokens).losses(past, target)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ROPES)
def test_full_attention_writes_what_one_forward_per_token_finds(name, engine):
    prompt = prompt_of(engine)
    assert len(prompt) > 1.9 * WINDOW
    length = len(prompt) + NEW
    rope = ROPES[name](length)
    base = plain_base(engine, **rope)
    if name == "dynamic_ntk":  # the scale of the whole text, also while it is shorter
        base.model.rotary_emb(torch.zeros(1), torch.tensor([[length - 1]]))
    expected = greedy(all_at_once(base), engine, prompt)
    assert make_system(name, engine, block_tokens=50).answers(DOCUMENTS, [QUESTION], NEW) == [expected]


def test_scaling_changes_what_is_beyond_the_window(engine):
    past, target = tiny.ids(300), tiny.ids(20, seed=1)
    losses = [make_system(name, engine).losses(past, target) for name in ROPES]
    assert not torch.allclose(losses[0], losses[1], rtol=1e-2)
    assert not torch.allclose(losses[0], losses[2], rtol=1e-2)
    assert not torch.allclose(losses[1], losses[2], rtol=1e-2)


def test_a_given_factor_is_used(engine):
    past, target = tiny.ids(300), tiny.ids(20, seed=1)
    for name, rope in (
        ("yarn", {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": WINDOW}),
        ("dynamic_ntk", {"rope_type": "dynamic", "factor": 2.0}),
    ):
        expected = naive_losses(all_at_once(plain_base(engine, **rope)), past, target)
        losses = make_system(name, engine, factor=rope["factor"]).losses(past, target)
        torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", tiny.BASES)
def test_every_family_is_read_in_blocks_as_at_once(name, bases):
    engine = engine_on(bases, name)
    past, target = tiny.ids(300), tiny.ids(30, seed=1)
    expected = naive_losses(all_at_once(plain_base(engine)), past, target)
    losses = make_system("full_attention", engine, block_tokens=32).losses(past, target)
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-4)


def test_baselines_share_the_engines_weights_and_leave_them_as_they_are(engine):
    before = {name: weight.clone() for name, weight in engine.model.state_dict().items()}
    frequencies = engine.model.model.rotary_emb.inv_freq.clone()
    for name in ("full_attention", "yarn", "streaming"):
        system = make_system(name, engine)
        system.losses(tiny.ids(200), tiny.ids(3))
        shared = dict(engine.model.named_parameters())
        assert all(weight.data_ptr() == shared[n].data_ptr() for n, weight in system.base.named_parameters())
    assert all(torch.equal(weight, before[name]) for name, weight in engine.model.state_dict().items())
    assert all(weight.requires_grad for weight in engine.model.parameters())
    assert torch.equal(engine.model.model.rotary_emb.inv_freq, frequencies)


@pytest.mark.parametrize("name", ["yarn", "dynamic_ntk"])
def test_a_rope_that_is_scaled_already_is_not_scaled_again(name, bases):
    with pytest.raises(UnsupportedBaseError, match="scaled already \\('llama3'\\)"):
        make_system(name, engine_on(bases, "llama-llama3"))


@pytest.mark.parametrize("options", [{"block_tokens": 0}, {"scaling": "linear"}, {"factor": 2.0}])
def test_options_of_full_attention_that_make_no_sense_are_refused(options, engine):
    with pytest.raises(InputError, match="is not"):
        make_system("full_attention", engine, **options)


# ------------------------------------------------------------------------------------------------ streaming


@pytest.mark.parametrize("block_tokens", [1, 13, 512])
@pytest.mark.parametrize(("sinks", "window"), [(4, WINDOW), (4, 20), (0, 16), (3, 4)])
def test_streaming_equals_a_rolling_cache_read_token_by_token(sinks, window, block_tokens, engine):
    past, target = tiny.ids(150), tiny.ids(20, seed=1)
    expected = naive_losses(token_by_token(plain_base(engine), sinks, window), past, target)
    options = {"sink_tokens": sinks, "window_tokens": window, "block_tokens": block_tokens}
    losses = make_system("streaming", engine, **options).losses(past, target)
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["llama-llama3", "llama-yarn", "mistral", "qwen2", "qwen3"])
def test_every_family_streams(name, bases):
    engine = engine_on(bases, name)
    past, target = tiny.ids(100), tiny.ids(10, seed=1)
    expected = naive_losses(token_by_token(plain_base(engine), 4, 24), past, target)
    losses = make_system("streaming", engine, window_tokens=24, block_tokens=30).losses(past, target)
    torch.testing.assert_close(losses, expected, rtol=1e-3, atol=1e-3)


def test_streaming_writes_what_a_rolling_cache_writes(engine):
    naive = token_by_token(plain_base(engine), 4, 32)
    expected = [greedy(naive, engine, prompt_of(engine, question)) for question in QUESTIONS]
    system = make_system("streaming", engine, window_tokens=32, block_tokens=40)
    assert system.answers(DOCUMENTS, QUESTIONS, NEW) == expected


def test_a_stream_holds_no_more_than_the_window(engine):
    system = make_system("streaming", engine, window_tokens=32, block_tokens=40)
    reader = system._reader(0)
    reader.read(tiny.ids(200))
    assert {layer.keys.shape[2] for layer in reader.cache.layers} == {31}


@pytest.mark.parametrize("options", [{"sink_tokens": 96}, {"window_tokens": 97}, {"sink_tokens": -1}])
def test_windows_that_make_no_sense_are_refused(options, engine):
    with pytest.raises(InputError, match="the window must be larger than the sinks"):
        make_system("streaming", engine, **options)


def test_a_base_with_a_smaller_sliding_window_does_not_stream(bases):
    engine = engine_on(bases, "mistral-window")
    with pytest.raises(UnsupportedBaseError, match="sliding window of their own"):
        make_system("streaming", engine)
    assert make_system("streaming", engine, window_tokens=10).losses(tiny.ids(50), tiny.ids(5)).shape == (5,)


# ------------------------------------------------------------------------------------------------ BM25


def passages_of(prompt, layout, separator):
    """The passages in a prompt, as lists of ids."""
    text = prompt[len(layout.head) : len(prompt) - len(layout.tail)].tolist()
    parts, current = [], []
    for at in range(len(text)):
        if text[at : at + len(separator)] == separator:
            parts.append(current)
            current = []
        elif not (len(separator) > 1 and text[max(0, at - 1) : at + 1] == separator):
            current.append(text[at])
    return [*parts, current]


@pytest.fixture
def prompts_read(monkeypatch):
    """The prompts that the window systems hand to the model."""
    from sharedllm_core.evaluation.baselines import window_only

    seen = []
    inner = window_only.answer_rows

    def write(model, tokenizer, prompts, *rest):
        seen.extend(prompts)
        return inner(model, tokenizer, prompts, *rest)

    monkeypatch.setattr(window_only, "answer_rows", write)
    return seen


def test_bm25_puts_the_passage_with_the_rare_word_first_and_keeps_the_documents_order(engine, prompts_read):
    system = make_system("bm25", engine, passage_tokens=16)
    documents = [
        Document(tiny_engine.words(50, seed=1), id="a"),
        Document("The zebra number is seven. " + tiny_engine.words(40, seed=2), id="b"),
        Document(tiny_engine.words(50, seed=3), id="c"),
    ]
    texts = [engine.tokenizer.encode(document.text).ids for document in documents]
    passages = [passage for text in texts for passage in text.split(16)]
    first_of_b = len(texts[0].split(16))
    (ranked,) = system._ranked(passages, ["Which number has the zebra?"])
    assert ranked[0] == first_of_b
    assert sorted(ranked) == list(range(len(passages)))
    system.answers(documents, ["Which number has the zebra?"], NEW)
    layout = PromptLayout.of("Which number has the zebra?", engine.tokenizer)
    (prompt,) = prompts_read
    assert len(prompt) + NEW == WINDOW  # exactly full
    separator = engine.tokenizer.encode("\n\n").ids.tolist()
    found = passages_of(prompt, layout, separator)
    whole = [passage.tolist() for passage in passages]
    places = [next(i for i, passage in enumerate(whole) if passage[: len(part)] == part) for part in found]
    assert places == sorted(places)
    assert first_of_b in places
    assert sum(part != whole[place] for part, place in zip(found, places, strict=True)) <= 1  # the last one is cut
    assert set(places) == set(ranked[: len(places)])


def test_bm25_writes_what_the_base_model_writes_from_the_prompt(engine, prompts_read):
    (answer,) = make_system("bm25", engine, passage_tokens=16).answers(DOCUMENTS, [QUESTION], NEW)
    assert answer == generated(engine, plain_base(engine), prompts_read[0])


def test_where_all_passages_fit_all_are_in_the_window(engine, prompts_read):
    document = Document("The rent is paid within 9 days.", id="d")
    make_system("bm25", engine).answers([document], [QUESTION], NEW)
    assert torch.equal(prompts_read[0], prompt_of(engine, text_ids=engine.tokenizer.encode(document.text).ids))


def test_a_question_without_known_words_takes_passages_in_order(engine):
    system = make_system("bm25", engine)
    assert system._ranked([tiny.ids(9), tiny.ids(9, seed=1)], ["?!", "zebra"]) == [[0, 1], [0, 1]]
    assert system._ranked([], ["zebra"]) == [[]]


def test_bm25_losses_are_those_after_the_best_passages_and_the_newest_tokens(engine):
    tokenizer = engine.tokenizer
    past = tokenizer.encode(tiny_engine.words(150, seed=4) + " The zebra").ids
    target = tokenizer.encode(" number is seven").ids
    system = make_system("bm25", engine, passage_tokens=8)
    query = past[-64:]
    passages = past[:-64].split(8)
    (ranked,) = system._ranked(passages, [tokenizer.decode(query)])
    separator = tokenizer.encode("\n\n").ids
    room = WINDOW - (len(target) - 1) - 64
    taken = {}
    for number in ranked:
        if (left := room - sum(len(p) + len(separator) for p in taken.values()) - len(separator)) > 0:
            taken[number] = passages[number][:left]
    parts = [part for number in sorted(taken) for part in (taken[number], separator)]
    context = torch.cat([*parts, query])
    assert len(context) + len(target) - 1 == WINDOW
    expected = naive_losses(all_at_once(plain_base(engine)), context, target)
    torch.testing.assert_close(system.losses(past, target), expected, rtol=1e-4, atol=1e-5)


def test_retrieval_into_the_past_context_answers_as_the_model_does_from_the_best_passages(engine):
    documents = [*tiny_engine.documents(3, 200), Document("The zebra number is seven.", id="zebra")]
    question = "Which number has the zebra?"
    system = make_system("bm25_past", engine, passage_tokens=16)
    (retrieved,) = system._chosen_text(documents, [question], [WINDOW])
    assert len(retrieved) == WINDOW
    text = engine.tokenizer.decode(retrieved)
    assert "The zebra number is" in text
    expected = engine.ask(question, [Document(text, id="retrieved")], max_new_tokens=NEW).text
    assert system.answers(documents, [question], NEW) == [expected]
    past, target = engine.tokenizer.encode(text).ids, engine.tokenizer.encode(" seven").ids
    assert torch.equal(system.losses(past[:60], target), make_system("sharedllm", engine).losses(past[:60], target))


def test_a_missing_library_is_named_with_the_command_that_installs_it(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(ImportError, match=r"pip install 'sharedllm\[eval\]'"):
        make_system("bm25", engine)

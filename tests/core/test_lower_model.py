"""The lower model: the upper model's own weights, batches within a budget, and recovery when memory runs out."""

import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
import torch
from torch import nn

from sharedllm_core import DeviceMemoryError, PastContext, PastContextError, SharedLLMConfig
from sharedllm_core.method.context_tree import whole_chunk
from sharedllm_core.model.lower_model import PastTokens
from sharedllm_core.model.renamed import KV_CACHE
from tests import tiny


def batches_seen(model):
    """Shapes of all id batches that the lower model embeds from now on."""
    shapes = []
    model.model.embed_tokens.register_forward_pre_hook(lambda _, ids: shapes.append(tuple(ids[0].shape)))
    return shapes


@torch.no_grad()
def test_the_lower_model_is_the_upper_models_bottom_layers(model):
    before = model.encode_past_context(tiny.chunks(32), tiny.ids(5))
    model.model.layers[0].self_attn.v_proj.weight.mul_(2)
    after = model.encode_past_context(tiny.chunks(32), tiny.ids(5))
    torch.testing.assert_close(after.values[0], 2 * before.values[0])
    weights = [weight for _, weight in model.named_parameters(remove_duplicate=False)]
    assert len(weights) == len({weight.data_ptr() for weight in weights}), "no weight is there twice"


@pytest.mark.parametrize("budget", [1, 16, 40, 64, 10_000])
def test_a_batch_never_holds_more_tokens_than_the_budget_unless_it_is_one_node(model, budget):
    chunks, question = tiny.chunks(*[32] * 9, 13, 7), tiny.ids(5)
    expected = model.encode_past_context(chunks, question)
    model.lower_model.batch_tokens = budget
    shapes = batches_seen(model)
    past = model.encode_past_context(chunks, question)
    assert all(nodes == 1 or nodes * tokens <= budget for nodes, tokens in shapes)
    assert past.nodes == expected.nodes
    for a, b in zip(past.keys + past.values, expected.keys + expected.values, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_only_retained_nodes_run_through_the_layers(model):
    runs = []
    model.model.layers[0].self_attn.register_forward_pre_hook(
        lambda _, args, kwargs: runs.append(kwargs["hidden_states"].shape[:2].numel()), with_kwargs=True
    )
    model.encode_past_context(tiny.chunks(*[32] * 6), tiny.ids(5))
    assert sum(runs) == 6 * 32


def test_the_last_injected_layer_computes_no_attention_and_no_mlp(model):
    ran = []
    model.model.layers[1].mlp.register_forward_pre_hook(lambda *_: ran.append(1))
    model.encode_past_context(tiny.chunks(32, 32), tiny.ids(5))
    model.encode_nodes(tiny.chunks(32, 32))
    assert not ran


@pytest.mark.parametrize("name", tiny.BASES)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@torch.no_grad()
def test_a_selection_vector_is_the_last_token_after_the_first_layer_and_the_final_norm(bases, name, attention):
    model = tiny.untrained(bases(name), attn_implementation=attention)
    nodes = [tiny.ids(length, seed=length) for length in (1, 5, 16, 16, 30)]
    tokens = PastTokens(nodes, torch.device("cpu"))
    vectors = model.lower_model.selection_vectors(tokens, [[whole_chunk(len(ids))] for ids in nodes])
    for vector, ids in zip(vectors, nodes, strict=True):
        hidden = model(ids[None], output_hidden_states=True).hidden_states[1]
        torch.testing.assert_close(vector, model.model.norm(hidden[0, -1]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", tiny.BASES)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@torch.no_grad()
def test_values_of_a_node_are_those_of_the_base_models_cache(bases, name, attention):
    flat = SharedLLMConfig(injection_layers=3, chunk_tokens=32, tree_depth=0, compression_ratio=1)
    model = tiny.untrained(bases(name), flat, attn_implementation=attention)
    ids = tiny.ids(32)
    cache = model(ids[None], use_cache=True)[KV_CACHE]
    past = model.encode_past_context([ids], tiny.ids(3))
    assert past.num_states == 32
    for layer in range(3):
        whole = cache.layers[layer].values[0]
        torch.testing.assert_close(past.values[layer][:, -whole.shape[1] :], whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["llama-yarn", "llama-llama3", "qwen3"])
@torch.no_grad()
def test_keys_that_keep_their_place_are_those_of_the_base_models_cache(bases, name):
    """Of the only chunk, at position 0, also with a RoPE that scales."""
    flat = SharedLLMConfig(
        injection_layers=3, chunk_tokens=32, tree_depth=0, compression_ratio=1, key_positions="local_plus_chunk"
    )
    model = tiny.untrained(bases(name), flat)
    ids = tiny.ids(32)
    cache = model(ids[None], use_cache=True)[KV_CACHE]
    past = model.encode_past_context([ids], tiny.ids(3))
    for layer in range(3):
        torch.testing.assert_close(past.keys[layer], cache.layers[layer].keys[0], atol=1e-5, rtol=1e-5)


class _NeedsMemory(nn.Module):
    """An embedding on a device that holds so many tokens and no more."""

    def __init__(self, embedding, capacity):
        super().__init__()
        self.embedding, self.capacity, self.failures = embedding, capacity, 0

    @property
    def weight(self):
        return self.embedding.weight

    def forward(self, ids):
        if ids.numel() > self.capacity:
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more than there is")
        return self.embedding(ids)


def test_out_of_memory_halves_the_budget_and_the_batch_is_tried_again(model):
    chunks, question = tiny.chunks(*[32] * 8), tiny.ids(5)
    expected = model.encode_past_context(chunks, question)
    model.model.embed_tokens = _NeedsMemory(model.model.embed_tokens, capacity=40)
    past = model.encode_past_context(chunks, question)
    assert past.nodes == expected.nodes
    for a, b in zip(past.keys + past.values, expected.keys + expected.values, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    failures = model.model.embed_tokens.failures
    assert 1 <= failures <= 5
    model.encode_past_context(chunks, question)
    assert model.model.embed_tokens.failures == failures, "the lower budget is kept"


def test_a_single_node_that_does_not_fit_is_said_so(model):
    model.model.embed_tokens = _NeedsMemory(model.model.embed_tokens, capacity=10)
    with pytest.raises(DeviceMemoryError, match=r"one node of 16 tokens; free memory, use smaller chunk_tokens"):
        model.encode_past_context(tiny.chunks(*[32] * 4), tiny.ids(5))


def test_other_errors_of_the_device_are_not_taken_for_a_lack_of_memory(model):
    model.model.embed_tokens.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("device lost")))
    with pytest.raises(RuntimeError, match="device lost"):
        model.encode_past_context(tiny.chunks(32), tiny.ids(5))


@pytest.mark.long
def test_a_process_with_little_memory_reads_with_smaller_batches():
    """The real thing: a limit on the address space, and a budget that does not fit below it."""
    script = textwrap.dedent("""
        import resource
        import torch
        from transformers import LlamaConfig
        from sharedllm_core import SharedLLMConfig, SharedLLMForCausalLM, SharedLLMModelConfig

        torch.set_num_threads(1)
        base = LlamaConfig(vocab_size=99, hidden_size=128, intermediate_size=4096, num_hidden_layers=3,
                           num_attention_heads=4, num_key_value_heads=4)
        config = SharedLLMModelConfig(text_config=base, method=SharedLLMConfig(injection_layers=3))
        model = SharedLLMForCausalLM(config).eval()
        chunks = list(torch.randint(0, 99, (64, 1024)))
        with torch.no_grad():
            model.encode_past_context(chunks[:2], chunks[0][:9])
            expected = model.encode_past_context(chunks, chunks[0][:9])
            used = int(open("/proc/self/statm").read().split()[0]) * 4096
            resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000, -1))
            model.lower_model.batch_tokens = 65536
            past = model.encode_past_context(chunks, chunks[0][:9])
        assert torch.allclose(past.values[2], expected.values[2], atol=1e-5)
        print(model.lower_model.batch_tokens)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert 512 <= int(done.stdout) < 65536


@torch.no_grad()
def test_gradients_reach_the_bottom_layers_through_the_states_in_training(model):
    with torch.enable_grad():
        model.train()
        past = model.encode_past_context(tiny.chunks(32, 20), tiny.ids(5))
        model(tiny.ids(6)[None], past_context=past, labels=tiny.ids(6)[None]).loss.backward()
        through_states = model.model.layers[0].self_attn.k_proj.weight.grad.clone()
        model.zero_grad()
        frozen = PastContext(
            past.nodes,
            past.states_per_node,
            past.chunk_positions,
            *(tuple(tensor.detach() for tensor in tensors) for tensors in (past.keys, past.values)),
            past.origin,
        )
        model(tiny.ids(6)[None], past_context=frozen, labels=tiny.ids(6)[None]).loss.backward()
    assert not torch.allclose(through_states, model.model.layers[0].self_attn.k_proj.weight.grad, atol=1e-7)


def test_outside_training_no_graph_is_kept(model):
    past = model.encode_past_context(tiny.chunks(32), tiny.ids(5))
    assert not any(tensor.requires_grad for tensor in past.keys + past.values)


def test_split_noise_moves_splits_in_training_alone(bases):
    method = SharedLLMConfig(injection_layers=2, chunk_tokens=32, policy="right", split_noise_tokens=3.0)
    model = tiny.untrained(bases("llama"), method)
    chunks = tiny.chunks(32, 32, 32)
    answering = {model.encode_past_context(chunks).nodes for _ in range(5)}
    model.train()
    training = {model.encode_past_context(chunks).nodes for _ in range(5)}
    assert len(answering) == 1
    assert len(training) > 1


def test_nodes_of_unequal_length_are_filled_up_and_have_the_states_they_have_alone(bases):
    method = replace(tiny.METHOD, split_after=tuple(range(0, 97, 3)))
    model = tiny.untrained(bases("llama"), method)
    chunks = tiny.chunks(32, 32, 29, 9, 2)
    runs = []
    read = model.lower_model._states
    model.lower_model._states = lambda ids, lengths, kept: runs.append(len(set(lengths))) or read(ids, lengths, kept)
    together = model.encode_nodes(chunks)
    assert max(runs) > 1, "several lengths in one batch"
    for chunk, entry in zip(chunks, together, strict=True):
        for node in entry.nodes:
            [(_, alone)] = model.lower_model.states(PastTokens([chunk], torch.device("cpu")), [[node]])
            index = entry.states_of([node])
            for layer in range(method.injection_layers):
                torch.testing.assert_close(entry.keys[layer][:, index], alone.keys[layer])
                torch.testing.assert_close(entry.values[layer][:, index], alone.values[layer])


# ---------------------------------------------------------------------------------------------- full attention

FULL = replace(tiny.METHOD, lower_attention="full")


@torch.no_grad()
def last_layer_keys(model, ids):
    """Keys of the last injected layer for one node, [K, S, D]."""
    node = whole_chunk(len(ids))
    [(_, states)] = model.lower_model.states(PastTokens([ids], torch.device("cpu")), [[node]])
    return states.keys[-1]


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen3"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_with_full_attention_a_state_depends_on_the_tokens_behind_it(bases, name, attention):
    for method, changes in ((FULL, True), (tiny.METHOD, False)):
        model = tiny.untrained(bases(name), replace(method, finest_compression_ratio=1, tree_depth=0))
        model.set_attn_implementation(attention)
        ids = tiny.ids(12)
        other = torch.cat((ids[:-1], (ids[-1:] + 1) % tiny.VOCAB))
        first, second = last_layer_keys(model, ids)[:, 0], last_layer_keys(model, other)[:, 0]
        assert bool((first - second).abs().max() > 1e-6) is changes


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_full_attention_is_the_same_in_every_implementation(bases, name):
    model = tiny.untrained(bases(name), FULL)
    keys = []
    for attention in ("sdpa", "eager"):
        model.set_attn_implementation(attention)
        keys.append(last_layer_keys(model, tiny.ids(30)))
    torch.testing.assert_close(*keys)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_what_fills_up_a_node_is_not_seen_by_full_attention_either(bases, attention):
    method = replace(FULL, split_after=tuple(range(0, 97, 3)))
    model = tiny.untrained(bases("llama"), method)
    model.set_attn_implementation(attention)
    chunks = tiny.chunks(32, 32, 29, 9, 2)
    for chunk, entry in zip(chunks, model.encode_nodes(chunks), strict=True):
        for node in entry.nodes:
            [(_, alone)] = model.lower_model.states(PastTokens([chunk], torch.device("cpu")), [[node]])
            for layer in range(method.injection_layers):
                torch.testing.assert_close(entry.keys[layer][:, entry.states_of([node])], alone.keys[layer])


def test_states_read_in_one_way_are_refused_by_a_model_that_reads_in_the_other(bases):
    causal, full = (tiny.untrained(bases("llama"), method) for method in (tiny.METHOD, FULL))
    past = causal.encode_past_context(tiny.chunks(32), tiny.ids(5))
    with pytest.raises(PastContextError, match="lower_attention='causal' and the model lower_attention='full'"):
        full(tiny.ids(5)[None], past_context=past)

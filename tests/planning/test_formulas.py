"""The formulas against reality: real runs of tiny models, their tensors and their counted operations."""

import json
import struct
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache

from sharedllm_core import SharedLLMConfig
from sharedllm_core.method.context_tree import all_nodes, whole_chunk
from sharedllm_core.planning import ModelShape, formulas
from sharedllm_core.planning.trees import count_all, count_retained
from sharedllm_core.tree_cache import codec
from tests import tiny

FAMILIES = ["llama", "mistral", "qwen2", "qwen3"]
FULL_CHUNKS = (32, 32, 32)
PARTIAL = [(1,), (2,), (3,), (13,), (32,), (32, 1), (32, 32, 17), (32, 31)]
METHODS = [
    tiny.METHOD,
    SharedLLMConfig(injection_layers=1, chunk_tokens=32, compression_ratio=4),
    SharedLLMConfig(injection_layers=4, chunk_tokens=32, compression_ratio=3, tree_depth=2),
    SharedLLMConfig(injection_layers=3, chunk_tokens=32, compression_ratio=8, tree_depth=0),
    SharedLLMConfig(injection_layers=2, chunk_tokens=32, compression_ratio=5.5, tree_depth=1, policy="right"),
]


@torch.no_grad()
def operations(run):
    """Counted by torch; the kernels of fused attention are not, so attention is made of matrix products."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    return counter.get_total_flops()


def eager(bases, name, method=tiny.METHOD):
    model = tiny.with_injection(bases(name), method, attn_implementation="eager")
    return model, ModelShape.from_config(model.config)


# ------------------------------------------------------------------------------------------------ states and bytes


@pytest.mark.parametrize("lengths", PARTIAL)
@pytest.mark.parametrize("method", METHODS)
def test_states_of_a_question_are_those_injected(bases, method, lengths):
    method = replace(method, policy="right")
    past = tiny.untrained(bases("llama"), method).encode_past_context(tiny.chunks(*lengths))
    counts = count_retained(sum(lengths), method)
    assert (counts.num_states, counts.num_nodes) == (past.num_states, past.num_nodes)
    assert counts.num_tokens == sum(lengths)
    shape = ModelShape.from_config(tiny.BASES["llama"])
    assert formulas.state_bytes(shape, method, counts.num_states) == past.nbytes


@pytest.mark.parametrize("method", METHODS)
def test_whole_chunks_retain_as_many_states_whatever_is_selected(bases, method):
    model = tiny.untrained(bases("llama"), method)
    seen = {model.encode_past_context(tiny.chunks(*FULL_CHUNKS), tiny.ids(5, seed)).num_states for seed in range(4)}
    assert seen == {count_retained(sum(FULL_CHUNKS), method).num_states}


@pytest.mark.parametrize("lengths", PARTIAL)
def test_a_partial_chunk_retains_a_few_states_more_or_fewer_by_what_is_selected(bases, lengths):
    past = tiny.untrained(bases("llama")).encode_past_context(tiny.chunks(*lengths), tiny.ids(5))
    assert abs(count_retained(sum(lengths), tiny.METHOD).num_states - past.num_states) <= tiny.METHOD.tree_depth + 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("method", METHODS)
def test_bytes_of_the_cache_are_those_of_the_encoded_nodes(bases, name, method, dtype):
    model = tiny.untrained(bases(name), method, dtype=dtype)
    shape = replace(ModelShape.from_config(model.config), bytes_per_parameter=dtype.itemsize)
    for lengths in (FULL_CHUNKS, (32, 13)):
        states = model.encode_nodes(tiny.chunks(*lengths))
        counts = count_all(sum(lengths), method)
        assert counts.num_states == sum(sum(entry.states_per_node) for entry in states)
        assert formulas.cache_bytes(shape, method, counts) == sum(entry.nbytes for entry in states)


@pytest.mark.parametrize("int8", [False, True])
def test_bytes_of_the_cache_are_those_of_the_files_without_their_headers(bases, int8):
    model = tiny.untrained(bases("qwen3"))
    shape = ModelShape.from_config(model.config)
    stored = 0
    for entry in model.encode_nodes(tiny.chunks(32, 32, 9)):
        blob = codec.encode(entry, "", int8=int8)
        (header,) = struct.unpack_from("<Q", blob)
        tensors = json.loads(blob[8 : 8 + header])
        for name in ("__metadata__", "head_checksum"):
            del tensors[name]
        stored += sum(tensor["data_offsets"][1] - tensor["data_offsets"][0] for tensor in tensors.values())
    formula = formulas.int8_cache_bytes if int8 else formulas.cache_bytes
    assert formula(shape, tiny.METHOD, count_all(73, tiny.METHOD)) == stored


@pytest.mark.parametrize("name", FAMILIES)
def test_keys_and_values_are_those_of_a_real_cache(bases, name):
    model = tiny.untrained(bases(name))
    cache = DynamicCache()
    with torch.no_grad():
        model(tiny.ids(21)[None], past_key_values=cache)
    real = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert formulas.kv_bytes(ModelShape.from_config(model.config), 21) == real


def test_weights_of_the_lower_model_are_those_of_its_layers(bases):
    model, shape = eager(bases, "qwen2")
    real = sum(weight.nbytes for layer in model.lower_model.layers for weight in layer.parameters())
    assert formulas.lower_weight_bytes(shape, tiny.METHOD) == real


# ------------------------------------------------------------------------------------------------ operations


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lengths", [FULL_CHUNKS, (32, 13), (1,)])
def test_operations_of_reading_all_nodes_are_those_that_run(bases, name, method, lengths):
    model, shape = eager(bases, name, method)
    formula = formulas.lower_model_operations(shape, method, count_all(sum(lengths), method), skips_masked=False)
    assert formula == operations(lambda: model.encode_nodes(tiny.chunks(*lengths)))


@pytest.mark.parametrize("method", METHODS)
def test_operations_of_reading_for_one_question_are_those_that_run(bases, method):
    model, shape = eager(bases, "qwen3", method)
    counts = count_retained(sum(FULL_CHUNKS), method)
    formula = formulas.lower_model_operations(shape, method, counts, skips_masked=False)
    if method.policy != "right":
        formula += formulas.vector_operations(shape, 7)
    assert formula == operations(lambda: model.encode_past_context(tiny.chunks(*FULL_CHUNKS), tiny.ids(7)))


@pytest.mark.parametrize("name", FAMILIES)
def test_operations_of_a_prefill_are_those_that_run_with_and_without_injection(bases, name):
    model, shape = eager(bases, name)
    prefill = formulas.prefill_operations(shape, 19, skips_masked=False)
    assert prefill == operations(lambda: model(tiny.ids(19)[None], logits_to_keep=1))
    past = model.encode_past_context(tiny.chunks(*FULL_CHUNKS), tiny.ids(5))
    injected = prefill + formulas.injection_operations(shape, tiny.METHOD, 19, past.num_states)
    assert injected == operations(lambda: model(tiny.ids(19)[None], past_context=past, logits_to_keep=1))


def test_operations_of_decoding_are_those_that_run(bases):
    model, shape = eager(bases, "llama")
    cache = DynamicCache()
    with torch.no_grad():
        model(tiny.ids(11)[None], past_key_values=cache)
    assert formulas.decoding_operations(shape, 11) == operations(
        lambda: model(tiny.ids(1)[None], past_key_values=cache, logits_to_keep=1)
    )


def test_a_prefill_on_kept_tokens_is_what_is_left_of_a_whole_one():
    shape = ModelShape.from_config(tiny.BASES["llama"])
    head = 2 * shape.embedding_parameters
    parts = formulas.prefill_operations(shape, 30) + formulas.prefill_operations(shape, 12, seen=30) - head
    assert parts == formulas.prefill_operations(shape, 42)


def test_masked_pairs_are_those_above_the_diagonal():
    seen = torch.ones(9, 9).tril()
    assert formulas.causal_pairs(9) == int(seen.sum())
    assert formulas.causal_pairs(9, skips_masked=False) == seen.numel()
    assert formulas.causal_pairs(2, seen=5) == 5 + 1 + 5 + 2


@pytest.mark.parametrize("length", [1, 2, 3, 31, 32])
def test_every_node_of_a_chunk_is_counted(length):
    nodes = all_nodes(whole_chunk(length), tiny.METHOD.tree_depth)
    counts = count_all(length, tiny.METHOD)
    assert counts.num_nodes == len(nodes)
    assert counts.num_tokens == sum(node.length for node in nodes)

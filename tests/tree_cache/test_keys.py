"""Keys change with whatever changes a tree, and with nothing else; cached trees answer as fresh ones."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from sharedllm_core import PastContext, SharedLLMForCausalLM
from sharedllm_core.tree_cache import DiskTier, MemoryTier, RemoteTier, TreeCache, TreeKeys
from tests import tiny

IDS = tiny.ids(32)


def key(model, namespace="one", ids=IDS, **options):
    return TreeKeys(model.lower_model, namespace, **options).chunk_key(ids)


def test_keys_change_with_what_changes_a_tree(bases):
    model = tiny.with_injection(bases("llama"))
    keys = {
        "itself": key(model),
        "ids": key(model, ids=IDS[:-1]),
        "namespace": key(model, "other"),
        "storage": key(model, cache_dtype="int8"),
        "dtype": key(tiny.with_injection(bases("llama"), dtype=torch.bfloat16)),
        "rope": key(tiny.untrained(bases("llama-llama3"))),
        "family": key(tiny.untrained(bases("qwen3"))),
    }
    for name, value in {
        "injection_layers": 3,
        "tree_depth": 2,
        "compression_ratio": 8,
        "sample_at": "interval_start",
        "lower_attention": "full",
        "node_encoding": "shared",
    }.items():
        keys[name] = key(tiny.untrained(bases("llama"), replace(tiny.METHOD, **{name: value})))
    of_past = replace(tiny.METHOD, policy="lexical", scope="past", finest_compression_ratio=1)
    for name, method in {"scope": of_past, "min_node_tokens": replace(of_past, min_node_tokens=3)}.items():
        keys[name] = key(tiny.untrained(bases("llama"), method))
    for name in ("model.embed_tokens.weight", "model.layers.1.self_attn.k_proj.weight", "model.norm.weight"):
        changed = tiny.with_injection(bases("llama"))
        with torch.no_grad():
            changed.get_parameter(name).view(-1)[-1] += 1e-3
        keys[name] = key(changed)
    assert len(set(keys.values())) == len(keys)


def test_keys_do_not_change_with_anything_else(bases):
    expected = key(tiny.untrained(bases("llama")))
    assert key(tiny.with_injection(bases("llama"))) == expected, "the injection reads trees, it does not make them"
    for name, value in {
        "policy": "right",
        "key_positions": "local_plus_chunk",
        "chunk_tokens": 64,
        "split_noise_tokens": 0,
    }.items():
        assert key(tiny.untrained(bases("llama"), replace(tiny.METHOD, **{name: value}))) == expected
    tuned = tiny.untrained(bases("llama"))
    tiny.randomise(tuned.model.layers[2])
    assert key(tuned) == expected
    assert key(tiny.untrained(bases("llama"), attn_implementation="eager")) == expected
    assert key(tiny.untrained(bases("llama")), ids=IDS.tolist()) == expected


def test_another_process_makes_the_same_keys(bases):
    script = (
        "import sys; from tests import tiny; from tests.tree_cache.test_keys import key;"
        "print(key(tiny.untrained(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(bases("llama"))], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == key(tiny.untrained(bases("llama")))


def read(model, cache, keys, chunks):
    """States of all nodes, from the cache where it has them; and how many chunks the lower model read."""
    origin = model.lower_model.origin()
    states, computed = [], 0
    for chunk in chunks:
        name = keys.chunk_key(chunk)
        found = cache.get(name, origin)
        if found is None:
            (found,) = model.encode_nodes([chunk])
            cache.put(name, found)
            computed += 1
        states.append(found)
    return states, computed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_tier_answers_as_fresh_states_do(bases, tmp_path, dtype):
    model = tiny.with_injection(bases("qwen3"), dtype=dtype)
    chunks, question = tiny.chunks(32, 32, 17, 5), tiny.ids(6)
    keys = TreeKeys(model.lower_model, "one")
    fresh = model.encode_past_context(chunks, question)
    asked = {"max_new_tokens": 12, "eos_token_id": None, "attention_mask": torch.ones(1, 6)}
    expected = model.generate(question[None], past_context=fresh, **asked)
    tiers = [MemoryTier(10**8), DiskTier(tmp_path / "disk", "one", 10**8), RemoteTier(f"file://{tmp_path}/far", "one")]
    for tier in tiers:
        cache = TreeCache([tier])
        assert read(model, cache, keys, chunks)[1] == 4
        states, computed = read(model, cache, keys, chunks)
        assert computed == 0
        past = PastContext.from_nodes(model.select_nodes(states, question))
        assert past.nodes == fresh.nodes
        assert torch.equal(model.generate(question[None], past_context=past, **asked), expected)
        with torch.no_grad():
            logits = [model(question[None], past_context=p).logits for p in (past, fresh)]
        assert tiny.relative(*logits) < (1e-4 if dtype == torch.float32 else 3e-2)


def test_adding_removing_and_reordering_chunks_reads_only_what_is_new(bases, tmp_path):
    model = tiny.with_injection(bases("llama"))
    keys, cache = TreeKeys(model.lower_model, "one"), TreeCache([DiskTier(tmp_path, "one", 10**8)])
    chunks = tiny.chunks(32, 32, 32, 9)
    assert read(model, cache, keys, chunks)[1] == 4
    embedded = []
    model.model.embed_tokens.register_forward_pre_hook(lambda _, ids: embedded.append(ids[0].numel()))
    assert read(model, cache, keys, chunks[::-1])[1] == 0
    assert read(model, cache, keys, chunks[1:3])[1] == 0
    assert not embedded, "the lower model did not run"
    assert read(model, cache, keys, [*chunks, tiny.ids(20, seed=99)])[1] == 1
    one = sum(embedded)
    embedded.clear()
    model.encode_nodes([tiny.ids(20, seed=99)])
    assert sum(embedded) == one, "only the new chunk was read"


def test_another_model_finds_nothing_of_the_first_ones(bases, tmp_path):
    cache = TreeCache([DiskTier(tmp_path, "one", 10**8)])
    first = tiny.with_injection(bases("llama"))
    read(first, cache, TreeKeys(first.lower_model, "one"), tiny.chunks(32, 32))
    tiny.make_base("llama", tmp_path / "base", seed=4)
    second: SharedLLMForCausalLM = tiny.with_injection(tmp_path / "base")
    assert read(second, cache, TreeKeys(second.lower_model, "one"), tiny.chunks(32, 32))[1] == 2

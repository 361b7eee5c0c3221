"""Expected nodes, keys, values and logits of the paper's method, made by an independent implementation.

The files lie beside the repository in `shared/fixtures/paper_forward`, or where SHAREDLLM_FIXTURES says.
"""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

from sharedllm_core import SharedLLMConfig, SharedLLMForCausalLM
from sharedllm_core.method.context_tree import kept_tokens
from sharedllm_core.model.rotary import angles, rotate
from tests import tiny

BESIDE = Path(__file__).parents[3] / "shared" / "fixtures"
FOLDER = Path(os.environ.get("SHAREDLLM_FIXTURES", BESIDE)) / "paper_forward"
FILES = sorted(FOLDER.glob("*.safetensors"))
POLICIES = {"cosine": "similarity", "right": "right"}


@pytest.mark.skipif("CI" not in os.environ, reason="outside CI the files need not be there")
def test_the_files_are_there_in_ci():
    assert FILES, f"no files in {FOLDER}"


def read(file):
    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return json.loads(opened.metadata()["config"]), tensors


def model_of(numbers, tensors, folder):
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=numbers["vocab"],
            hidden_size=numbers["hidden"],
            intermediate_size=numbers["intermediate"],
            num_hidden_layers=numbers["layers"],
            num_attention_heads=numbers["heads"],
            num_key_value_heads=numbers["kv"],
            rope_parameters={"rope_type": "default", "rope_theta": numbers["theta"]},
            rms_norm_eps=1e-6,
            tie_word_embeddings=False,
        )
    ).save_pretrained(folder)
    method = SharedLLMConfig(
        injection_layers=numbers["m"],
        tree_depth=numbers["height"],
        compression_ratio=numbers["compression_ratio"],
        policy=POLICIES[numbers["policy"]],
        sample_at=numbers["sample_at"],
        key_positions=numbers["key_positions"],
        query_position_offset=numbers["query_position_offset"],
    )
    model = SharedLLMForCausalLM.from_base(folder, method, dtype=torch.float64).eval()
    weights = {name.removeprefix("weights."): tensor for name, tensor in tensors.items() if name.startswith("weights.")}
    model.load_state_dict(weights)
    return model


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@torch.no_grad()
def test_nodes_states_and_logits_are_the_expected_ones(file, tmp_path):
    numbers, tensors = read(file)
    model = model_of(numbers, tensors, tmp_path)
    chunks = [tensors[f"context.{i}"] for i in range(sum(name.startswith("context.") for name in tensors))]
    past = model.encode_past_context(chunks, tensors["prompt"])

    assert [list(row) for row in tiny.rows(past)] == tensors["expected.nodes"].tolist()
    for layer in range(numbers["m"]):
        torch.testing.assert_close(past.values[layer], tensors[f"expected.values.{layer}"], atol=5e-5, rtol=0)
        torch.testing.assert_close(
            keys_at_their_place(model, past, layer), tensors[f"expected.keys.{layer}"], atol=5e-5, rtol=0
        )
    logits = model(tensors["prompt"][None], past_context=past).logits[0]
    torch.testing.assert_close(logits, tensors["expected.logits"], atol=1e-5, rtol=0)


def keys_at_their_place(model, past, layer):
    """The keys as the lower model gives them: rotated by their place in the node, not by their chunk."""
    positions = []
    for chunk, _, start, end, count in tiny.rows(past):
        places = torch.tensor(kept_tokens(end - start, count, model.method.sample_at))
        local = model.method.key_positions == "local_plus_chunk"
        positions.append((0 * places if local else places) - past.chunk_positions[chunk])
    return rotate(past.keys[layer], *angles(torch.cat(positions), past.origin.inv_freq))

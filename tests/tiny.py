"""Tiny base models of every supported family, and random past contexts for them."""

from dataclasses import replace

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from sharedllm_core import SharedLLMConfig, SharedLLMForCausalLM

VOCAB = 97
SHAPE = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}

BASES = {
    "llama": LlamaConfig(**SHAPE, tie_word_embeddings=False),
    "llama-llama3": LlamaConfig(**SHAPE, rope_parameters=LLAMA3),
    "llama-yarn": LlamaConfig(**SHAPE, rope_parameters=YARN),
    "mistral": MistralConfig(**SHAPE, head_dim=12, sliding_window=None),
    "mistral-window": MistralConfig(**SHAPE, sliding_window=10),
    "qwen2": Qwen2Config(**SHAPE),  # biases in the query projection
    "qwen2-window": Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=10, max_window_layers=1),
    "qwen3": Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=True),  # query norms, tied
}

#: Chunks of 32 tokens, so that tests are quick: nodes of 16, 8 and 4 tokens.
METHOD = SharedLLMConfig(injection_layers=2, chunk_tokens=32, compression_ratio=4)


def with_policy(policy):
    return replace(METHOD, policy=policy)


def make_base(name, folder, seed=0):
    """Save a base model with random weights that are large enough for its layers to matter."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(BASES[name])
    randomise(model)
    model.generation_config.pad_token_id = 0
    model.save_pretrained(folder)


@torch.no_grad()
def randomise(module, scale=0.25):
    """Random weights throughout: no norm is all ones, no bias all zeros."""
    for name, weight in module.named_parameters():
        weight.normal_(0.0, scale)
        if "norm" in name:
            weight.add_(1.0)


def untrained(folder, method=METHOD, **kwargs):
    return SharedLLMForCausalLM.from_base(folder, method, **kwargs).eval()


def with_injection(folder, method=METHOD, seed=1, **kwargs):
    """A model whose injection has random weights, so that a past context changes the logits."""
    model = untrained(folder, method, **kwargs)
    torch.manual_seed(seed)
    randomise(model.injection)
    return model


def checkpoint_activations(model):
    """Let a model compute activations again in the backward pass; older versions of transformers have another name."""
    is_renamed = hasattr(model, "activation_checkpointing_enable")
    (model.activation_checkpointing_enable if is_renamed else model.gradient_checkpointing_enable)()


def ids(length, seed=0):
    return torch.randint(3, VOCAB, (length,), generator=torch.Generator().manual_seed(seed))


def chunks(*lengths, seed=0):
    return [ids(length, seed=seed * 100 + i) for i, length in enumerate(lengths)]


def relative(a, b):
    """‖a − b‖ / ‖b‖ in float32."""
    a, b = a.detach().float(), b.detach().float()
    return float((a - b).norm() / b.norm())


def rows(past):
    """(chunk, level, start, end, states) of each retained node, in the order of the states."""
    return [
        (chunk, *node, states)
        for chunk, (nodes, counts) in enumerate(zip(past.nodes, past.states_per_node, strict=True))
        for node, states in zip(nodes, counts, strict=True)
    ]

"""Tiny random models of families that have no injection, with a tokenizer."""

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests import tiny, tiny_engine

EXPERTS = {"num_experts_per_tok": 2, "num_experts": 4, "moe_intermediate_size": 16}
LINEAR_ATTENTION = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "head_dim": 8,
    "full_attention_interval": 2,
    "shared_expert_intermediate_size": 16,
}
#: What each family needs beside `tiny.SHAPE`.
FAMILIES = {
    "gemma3_text": {"head_dim": 8},
    "phi3": {},
    "gpt_neox": {},
    "olmo2": {},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": EXPERTS,
    "granite": {},
    "falcon": {},
    "stablelm": {},
    "gpt2": {},  # learned positions
}
MORE_FAMILIES = {
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},  # learned positions
    "bloom": {},  # ALiBi
    "falcon-alibi": {"alibi": True},
    "mpt": {},  # ALiBi
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8},
    "deepseek_v3": {
        "n_routed_experts": 4,
        "n_group": 2,
        "topk_group": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
        "kv_lora_rank": 8,
        "q_lora_rank": 8,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "num_key_value_heads": 4,
    },
    "qwen3_next": EXPERTS | LINEAR_ATTENTION,  # attention and states
    "mamba": {},  # states
    "recurrent_gemma": {"num_hidden_layers": 3, "lru_width": 32, "head_dim": 8, "attention_window_size": 512},
    "rwkv": {"attention_hidden_size": 32, "context_length": 512},
}
#: Families whose configurations name their sizes themselves.
OWN_NAMES = {
    "gpt2": {"n_embd": 32, "n_head": 4, "n_layer": 2},
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2},
}
WINDOW_NAMES = {"gpt2": "n_positions", "bloom": "seq_length", "mpt": "max_seq_len"}


def make_plain(family, folder, *, scale=None, window=256, **changes):
    """Save a tiny random model of a family with a tokenizer.

    Args:
        family: a model type, or a name above that begins with one.
        folder: where to.
        scale: of the random weights; by default transformers' own initial weights.
        window: in tokens.
        changes: of the configuration.
    """
    torch.manual_seed(0)
    tokenizer = tiny_engine.tokenizer()
    shape = {name: size for name, size in tiny.SHAPE.items() if name != "max_position_embeddings"}
    shape |= {"vocab_size": len(tokenizer), "num_hidden_layers": 2}
    shape[WINDOW_NAMES.get(family, "max_position_embeddings")] = window
    if family in OWN_NAMES:
        shape = {name: size for name, size in shape.items() if name not in _COMMON_SIZES} | OWN_NAMES[family]
    shape |= {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    shape |= FAMILIES.get(family, {}) | MORE_FAMILIES.get(family, {}) | changes
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family.split("-")[0], **shape))
    if scale is not None:
        tiny.randomise(model, scale)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


_COMMON_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")

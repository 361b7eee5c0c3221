"""Tiny GGUF files of Llama's family, with random weights and a byte-level tokenizer."""

import json

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quantize

from tests import tiny_engine

HIDDEN, HEADS, KV_HEADS, LAYERS, FORWARD = 64, 4, 2, 2, 96


def write(file, *, kind="Q8_0", architecture="llama", tokenizer=True, without=(), seed=0):
    """Write a GGUF file whose matrices are quantised as `kind`; returns the file."""
    described = json.loads(tiny_engine.tokenizer_json())["model"]
    vocabulary = sorted(described["vocab"], key=described["vocab"].get)
    writer = GGUFWriter(file, architecture)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(vocabulary))
    if tokenizer:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(vocabulary)
        writer.add_token_types([1] * len(vocabulary))
        writer.add_token_merges([" ".join(pair) for pair in described["merges"]])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(1)
    rng = np.random.default_rng(seed)
    for name, shape in _shapes(len(vocabulary)).items():
        values = rng.normal(0.0, 0.2, shape).astype(np.float32)
        number = GGMLQuantizationType[kind if len(shape) > 1 else "F32"]
        if name not in without:
            writer.add_tensor(name, quantize(values, number), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _shapes(vocabulary):
    shapes = {"token_embd.weight": (vocabulary, HIDDEN), "output_norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{norm}_norm.weight": (HIDDEN,) for norm in ("attn", "ffn")}
        shapes |= {f"blk.{layer}.attn_{part}.weight": (HIDDEN, HIDDEN) for part in ("q", "output")}
        shapes |= {f"blk.{layer}.attn_{part}.weight": (HIDDEN * KV_HEADS // HEADS, HIDDEN) for part in ("k", "v")}
        shapes |= {f"blk.{layer}.ffn_{part}.weight": (FORWARD, HIDDEN) for part in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down.weight"] = (HIDDEN, FORWARD)
    return shapes

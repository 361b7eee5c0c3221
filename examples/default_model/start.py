"""Step 2 of the embedded model: its first weights, random ones with a few circuits written in.

    python examples/default_model/start.py --tokenizer runs/tokenizer --out runs/start

A small model needs very long to discover how to find and to copy: heads that look one token back, and heads of the next
layer that use what those found. So they are there from the start, and training refines them. The hidden state has parts
(E is the hidden size, D = E/8 that of a head):

    0            a constant, which lets a head attend by place alone
    1            how rare the token is, from −1 to 1
    2 … E/2      who the token is: a random vector
    then D       who the token before is, written by head 0 of the first layer
    then D       who the one before that is, by head 1
    then 2 D     who the rare tokens nearby are, all in one, by heads 2 and 3

In the second layer, half of the heads compare the token and the one before it with the two tokens before each state,
and copy the state's token: what stood behind the same two tokens (induction). The other half compare the rare tokens
nearby, which leads from a question to the sentence that says it. The injection of that layer begins as a copy of its
attention, so that both work on past context before the first step of training. Everything else is small random numbers.

Content is compared in those dimensions only that chunk positions hardly turn, hence the large `rope_theta`.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sharedllm_core import SharedLLMConfig, SharedLLMForCausalLM
from sharedllm_core.tokenization import sentence_borders

HEADS = 8
INDUCTION = range(4)  # heads of the second layer
LOOK_UP = range(4, 8)
ROPE_THETA = 1e10
POSITIONS = 256  # chunk positions over which content stays comparable
EMBEDDING_STD = 0.5
CONSTANT = 2.0
NOISE = 0.02  # standard deviation of every other weight
# Logits: of a head for the token it looks for, over others.
BEFORE_GAIN, NEARBY_GAIN, RARE_GAIN = 12.0, 3.0, 3.0
MATCH, NEARBY_MATCH = 3.0, 3.0
COPY = 1.0  # of a copied token's vector, per head


def first_weights(
    tokenizer: PreTrainedTokenizerFast, counts: Tensor, hidden: int, layers: int, method: SharedLLMConfig, seed: int = 0
) -> SharedLLMForCausalLM:
    """A model with the circuits in its first two layers and in its injection.

    Args:
        tokenizer: of the model.
        counts: how often each token occurs, [vocabulary].
        hidden: E, a multiple of 16.
        layers: N, at least 2.
        method: with at least 2 injection layers.
        seed: of the random weights.
    """
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=hidden * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=NOISE,
        rope_theta=ROPE_THETA,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    base: Any = LlamaForCausalLM(config)
    _write_embeddings(base.model, counts)
    _write_first_layer(base.model)
    _write_second_layer(base.model)
    with tempfile.TemporaryDirectory() as folder:
        base.save_pretrained(folder)
        model = SharedLLMForCausalLM.from_base(folder, method)
    with torch.no_grad():
        injections: Any = model.injection
        for injection in injections:
            injection.o_proj.weight.normal_(std=NOISE)
        built: Any = model.model.layers
        second = built[1].self_attn.o_proj.weight
        injections[1].o_proj.weight.copy_(second)
        second[:, LOOK_UP.start * hidden // HEADS :] = 0  # running text looks things up in the past, not in itself
    return model


def _parts(model: Any) -> tuple[slice, list[slice], int]:
    """Who the token is; what heads 0 to 3 of the first layer write; and D."""
    hidden = model.config.hidden_size
    size = hidden // HEADS
    written = [slice(hidden // 2 + i * size, hidden // 2 + (i + 1) * size) for i in range(4)]
    return slice(2, hidden // 2), written, size


def _normed(model: Any) -> tuple[float, float]:
    """The constant, and the standard deviation of who a token is, behind the first layer's norm."""
    hidden = model.config.hidden_size
    power = 1.3 * CONSTANT**2 + (hidden // 2 - 2) * EMBEDDING_STD**2
    scale = math.sqrt(power / hidden)
    return CONSTANT / scale, EMBEDDING_STD / scale


def _frequencies(size: int) -> list[float]:
    """By which RoPE turns each pair of a head's dimensions, per place."""
    return [ROPE_THETA ** (-i / (size // 2)) for i in range(size // 2)]


def _directions(count: int, of: int) -> Tensor:
    """So many random directions at right angles, [count, of]."""
    return torch.linalg.qr(torch.randn(of, count))[0].T.contiguous()


@torch.no_grad()
def _write_embeddings(model: Any, counts: Tensor) -> None:
    token, _, _ = _parts(model)
    rarity = -((counts.float() + 1) / (counts.sum() + len(counts))).log()
    rarity[counts == 0] = rarity.min()  # what no text has is no name either
    rarity = 2 * (rarity - rarity.min()) / (rarity.max() - rarity.min()) - 1
    embeddings = model.embed_tokens.weight.zero_()
    embeddings[:, token].normal_(std=EMBEDDING_STD)
    embeddings[:, 0] = CONSTANT
    embeddings[:, 1] = CONSTANT * rarity
    model.norm.weight.fill_(1 / (EMBEDDING_STD * math.sqrt(token.stop - token.start)))
    model.norm.weight[:2] = 0  # the constant and the rarity predict no token


@torch.no_grad()
def _write_first_layer(model: Any) -> None:
    token, written, size = _parts(model)
    constant, std = _normed(model)
    attention = model.layers[0].self_attn
    frequencies = _frequencies(size)
    nearby = list(_directions(2 * size, token.stop - token.start).split(size))
    directions = [_directions(size, token.stop - token.start) for _ in range(2)] + nearby
    for head in range(4):
        rows = slice(head * size, (head + 1) * size)
        attention.q_proj.weight[rows] = 0
        attention.k_proj.weight[rows] = 0
        back, gain, turns = (head + 1, BEFORE_GAIN, (1.0, 0.3)) if head < 2 else (0, NEARBY_GAIN, (0.05, 0.02))
        # logit = gain · mean of cos(frequency · (distance − back)), greatest so many tokens back
        for turn in turns:
            at = min(range(size // 2), key=lambda i: abs(math.log(frequencies[i] / turn)))
            strength = math.sqrt(gain / len(turns) * math.sqrt(size)) / constant
            angle = -frequencies[at] * back
            attention.q_proj.weight[head * size + at, 0] = strength * math.cos(angle)
            attention.q_proj.weight[head * size + at + size // 2, 0] = strength * math.sin(angle)
            attention.k_proj.weight[head * size + at, 0] = strength
        if head >= 2:
            slowest = head * size + size // 2 - 1
            strength = math.sqrt(RARE_GAIN * math.sqrt(size)) / constant
            attention.q_proj.weight[slowest, 0] = strength
            attention.k_proj.weight[slowest, 1] = strength
        attention.v_proj.weight[rows] = 0
        attention.v_proj.weight[rows, token] = directions[head]
        attention.o_proj.weight[:, rows] = 0
        attention.o_proj.weight[written[head], rows] = torch.eye(size) * (1 if head < 2 else 2) * EMBEDDING_STD / std


@torch.no_grad()
def _write_second_layer(model: Any) -> None:
    token, written, size = _parts(model)
    hidden = model.config.hidden_size
    before = [model.layers[0].self_attn.v_proj.weight[i * size : (i + 1) * size, token] for i in range(2)]
    nearby = slice(written[2].start, written[3].stop)
    attention = model.layers[1].self_attn
    frequencies = _frequencies(size)
    slow = [i for i, frequency in enumerate(frequencies) if frequency * POSITIONS < 0.85]
    dims = torch.tensor([*slow, *(size // 2 + i for i in slow)])
    for head in range(HEADS):
        rows = slice(head * size, (head + 1) * size)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            projection.weight[rows] = 0
        attention.o_proj.weight[:, rows] = 0
        own = head * size + dims
        if head in INDUCTION:
            one, two = own[: len(own) // 2 + 1], own[len(own) // 2 + 1 :]
            picked = _directions(len(one), size)
            attention.k_proj.weight[one, written[0]] = picked * MATCH
            attention.q_proj.weight[one, token] = picked @ before[0] * MATCH
            picked = _directions(len(two), size)
            attention.k_proj.weight[two, written[1]] = picked * MATCH
            attention.q_proj.weight[two, written[0]] = picked @ (before[1] @ before[0].T) * 2 * MATCH
        else:
            picked = _directions(len(own), 2 * size)
            attention.k_proj.weight[own, nearby] = picked * NEARBY_MATCH
            attention.q_proj.weight[own, nearby] = picked * NEARBY_MATCH
        # Four heads together carry a whole token: each copies a quarter of who it is.
        low = token.start + head % 4 * size
        high = min(low + size, hidden // 2)
        attention.v_proj.weight[rows.start : rows.start + high - low, low:high] = torch.eye(high - low)
        attention.o_proj.weight[low:high, rows.start : rows.start + high - low] = torch.eye(high - low) * COPY


def embedded_method(tokenizer: PreTrainedTokenizerFast, injection_layers: int) -> SharedLLMConfig:
    """The numbers of the method that the embedded model answers with."""
    split_after, split_before = sentence_borders(tokenizer)
    return SharedLLMConfig(
        injection_layers=injection_layers,
        chunk_tokens=512,
        tree_depth=4,
        compression_ratio=8,
        finest_compression_ratio=1,
        min_injected_states=512,
        min_score_share=0.7,
        min_node_tokens=48,
        policy="lexical",
        scope="past",
        split_noise_tokens=0,
        split_after=split_after,
        split_before=split_before,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the first weights of the embedded model.")
    parser.add_argument("--tokenizer", required=True, help="folder of step 1")
    parser.add_argument("--out", required=True, help="folder for the model")
    parser.add_argument("--hidden", type=int, default=256, help="hidden size, a multiple of 16")
    parser.add_argument("--layers", type=int, default=4, help="decoder layers")
    parser.add_argument("--injection-layers", type=int, default=3, help="M")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if (Path(given.out) / "config.json").is_file():
        print(f"{given.out} holds a model; remove it to make another")
        return
    tokenizer = PreTrainedTokenizerFast.from_pretrained(given.tokenizer)
    counts = torch.tensor(json.loads((Path(given.tokenizer) / "counts.json").read_text(encoding="utf-8")))
    method = embedded_method(tokenizer, given.injection_layers)
    model = first_weights(tokenizer, counts, given.hidden, given.layers, method, given.seed)
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)
    print(f"{model.num_parameters():,} parameters in {given.out}")


if __name__ == "__main__":
    main()

"""The loss of a batch of readings: the same computation as the model's own, for many rows at once.

The model itself takes any base, any policy and one past context for each row; here, all views of a batch are gathered
and attended to in one operation per layer, so that a GPU is busy and not waiting for the next small piece of work.
`tests/examples` shows that both give the same loss.
"""

from typing import Any

import torch
from reading import ReadBatch
from torch import Tensor
from torch.nn.functional import cross_entropy, rms_norm, scaled_dot_product_attention

from sharedllm_core import SharedLLMForCausalLM
from sharedllm_core.model.rotary import angles

__all__ = ["read_loss"]

_SHORT = 300  # keys up to which three operations are faster on a CPU than its own attention, most of all backward

# Suffixes: V views, Q texts of a view, T tokens of a text, S states that a view sees, N nodes, L their tokens, H heads,
# D head size, E hidden size.


def read_loss(model: SharedLLMForCausalLM, batch: ReadBatch) -> Tensor:
    """Mean cross-entropy over all tokens of all answers.

    Args:
        model: Llama's architecture with as many key/value heads as heads.
        batch: on the model's device.
    """
    backbone: Any = model.model
    injected = model.method.injection_layers
    of_groups = [
        _states(model, ids_NL, lengths_N) for ids_NL, lengths_N in zip(batch.node_ids, batch.node_lengths, strict=True)
    ]
    inv_freq = backbone.rotary_emb.inv_freq
    key_turn = _turn(batch.positions, inv_freq)
    query_turn = _turn(batch.query_positions[:, None], inv_freq)
    mask_V11S = batch.is_seen[:, None, None]

    views, texts, tokens = batch.ids.shape
    hidden = backbone.embed_tokens(batch.ids.flatten(0, 1))
    turn = _turn(torch.arange(tokens, device=hidden.device)[None], inv_freq)
    for number, layer in enumerate(backbone.layers):
        attention = layer.self_attn
        query, key, value = _projected(attention, _normed(layer.input_layernorm, hidden))
        mixed = _attended(_rotate(query, turn), _rotate(key, turn), value, is_causal=True)
        hidden = hidden + attention.o_proj(_joined(mixed))
        if number < injected:
            injection: Any = model.injection[number]
            query = injection.q_proj(_normed(injection.layernorm, hidden))
            width = query.shape[-1]
            query_VHQD = _heads(query.view(views, texts * tokens, -1), attention)
            index = batch.states.flatten()
            key_VS, value_VS = (
                torch.cat([group[number][part] for group in of_groups]).index_select(0, index).view(views, -1, width)
                for part in (0, 1)
            )
            mixed = _attended(
                _rotate(query_VHQD, query_turn),
                _rotate(_heads(key_VS, attention), key_turn),
                _heads(value_VS, attention),
                mask=mask_V11S,
            )
            hidden = hidden + injection.o_proj(_joined(mixed)).view_as(hidden)
        hidden = hidden + layer.mlp(_normed(layer.post_attention_layernorm, hidden))
    answered = _normed(backbone.norm, hidden.flatten(0, 1).index_select(0, batch.answers))
    return cross_entropy(model.lm_head(answered).float(), batch.targets)


def _states(model: SharedLLMForCausalLM, ids_NL: Tensor, lengths_N: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Keys, before rotation, and values of every token of nodes, by layers: each [N · L, H · D]."""
    backbone: Any = model.model
    length, injected = ids_NL.shape[1], model.method.injection_layers
    hidden = backbone.embed_tokens(ids_NL)
    place_L = torch.arange(length, device=ids_NL.device)
    turn = _turn(place_L[None], backbone.rotary_emb.inv_freq)
    full = model.method.lower_attention == "full"
    mask = (place_L < lengths_N[:, None])[:, None, None] if full else None
    states = []
    for number, layer in enumerate(backbone.layers[:injected]):
        attention = layer.self_attn
        normed = _normed(layer.input_layernorm, hidden)
        key, value = attention.k_proj(normed), attention.v_proj(normed)
        states.append((key.flatten(0, 1), value.flatten(0, 1)))
        if number + 1 == injected:
            break
        query = _rotate(_heads(attention.q_proj(normed), attention), turn)
        mixed = _attended(
            query, _rotate(_heads(key, attention), turn), _heads(value, attention), mask=mask, is_causal=not full
        )
        hidden = hidden + attention.o_proj(_joined(mixed))
        hidden = hidden + layer.mlp(_normed(layer.post_attention_layernorm, hidden))
    return states


def _attended(
    query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None = None, is_causal: bool = False
) -> Tensor:
    """What queries [rows, H, tokens, D] gather; `mask` is true where a key is seen."""
    if query.device.type != "cpu" or key.shape[-2] > _SHORT:
        return scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=is_causal)
    scores = query @ key.mT * key.shape[-1] ** -0.5
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value


def _normed(norm: Any, hidden: Tensor) -> Tensor:
    return rms_norm(hidden, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _projected(attention: Any, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = (
        _heads(project(normed), attention) for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return query, key, value


def _heads(projected: Tensor, attention: Any) -> Tensor:
    """[…, tokens, H · D] → […, H, tokens, D]."""
    return projected.unflatten(-1, (-1, attention.head_dim)).transpose(-2, -3)


def _joined(mixed: Tensor) -> Tensor:
    """[…, H, tokens, D] → […, tokens, H · D]."""
    return mixed.transpose(-2, -3).flatten(-2)


def _turn(positions: Tensor, inv_freq: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [rows, 1, tokens, D] of positions [rows, tokens]."""
    cos, sin = angles(positions.flatten(), inv_freq)
    return cos.view(*positions.shape, -1)[:, None], sin.view(*positions.shape, -1)[:, None]


def _rotate(states: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    rotated: Tensor = _Rotated.apply(states, *turn)
    return rotated


class _Rotated(torch.autograd.Function):
    """Rotation in float32, whose gradient is turned back: nothing is kept for it but the angles."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(states, cos, sin)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(grad, cos, -sin), None, None


def _rotated(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = states.shape[-1] // 2
    first, second = states.float().split(half, dim=-1)
    cos, sin = cos[..., :half], sin[..., :half]
    rotated = torch.empty_like(states)
    rotated[..., :half] = torch.addcmul(first * cos, second, sin, value=-1)
    rotated[..., half:] = torch.addcmul(second * cos, first, sin)
    return rotated

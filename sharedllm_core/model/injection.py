"""Self-injection: cross-attention from running text to retained states (paper, section 3.3), and the layers with it.

A decoder layer with injection computes

    x = x + self_attention(norm(x))        from the base model
    x = x + injection(x)                   added; zero until trained
    x = x + mlp(norm(x))                   from the base model

Every query attends to every state, and all queries have the same position, so no mask is needed. Rows are grouped by
past context, and the rows, their tokens and the heads that share a key/value head are flattened into one axis of
queries. Attention then reads each state once per key/value head. For rows without past context the output is exactly
zero.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import eager_attention_forward

from .past_context import View
from .rotary import rotate

__all__ = ["Inject", "InjectedLayer", "Injection", "attend"]

# Suffixes: B rows, T running-text tokens, E hidden size, H query heads, K key/value heads, G = H/K, D head size,
# S retained states, Q = all queries of one key/value head.

#: Takes a layer's number and its hidden states; returns the injection's output to add to them, or `None`.
Inject = Callable[[int, Tensor], Tensor | None]


class Injection(nn.Module):
    """The injection of one layer: W_q' and a norm, initialised from the layer's own, and W_o', initialised to zero.

    Args:
        layer: the base model's decoder layer.
        text_config: the base model's configuration.
    """

    # Attributes that transformers' attention functions read from the module.
    is_causal = False
    num_key_value_groups = 1

    q_proj: nn.Linear
    q_norm: nn.Module | None
    layernorm: nn.Module

    def __init__(self, layer: Any, text_config: PreTrainedConfig) -> None:
        super().__init__()
        attention = layer.self_attn
        self.config = text_config
        self.layer_idx = attention.layer_idx
        self.head_size = attention.head_dim
        self.num_key_value_heads = text_config.num_key_value_heads
        self.scaling = attention.scaling
        self.attention_dropout = attention.attention_dropout
        self.q_proj = copy.deepcopy(attention.q_proj)
        self.q_norm = copy.deepcopy(attention.q_norm) if hasattr(attention, "q_norm") else None
        self.layernorm = copy.deepcopy(layer.post_attention_layernorm)
        width = self.q_proj.out_features
        weight = self.q_proj.weight
        self.o_proj = nn.Linear(width, text_config.hidden_size, bias=False, device=weight.device, dtype=weight.dtype)

    @torch.no_grad()
    def reset(self, layer: Any) -> None:
        """Initialise from the weights of `layer`, and set the output projection to zero."""
        attention = layer.self_attn
        self.q_proj.load_state_dict(attention.q_proj.state_dict())
        self.layernorm.load_state_dict(layer.post_attention_layernorm.state_dict())
        if self.q_norm is not None:
            self.q_norm.load_state_dict(attention.q_norm.state_dict())
        self.o_proj.weight.zero_()

    def forward(self, hidden_BTE: Tensor, views: list[View]) -> Tensor:
        """Compute the injection's output.

        Args:
            hidden_BTE: hidden states after self-attention.
            views: the past contexts, and the rows that attend to each.

        Returns:
            [B, T, E], to be added to the hidden states; zero for rows without past context.
        """
        query_BTHD = self.queries(hidden_BTE)
        mixed_BTE = hidden_BTE.new_zeros(*hidden_BTE.shape[:2], self.q_proj.out_features)
        for view in views:
            if view.rows is None:
                mixed_BTE = self._mix(query_BTHD, view)
            else:
                mixed_RTE = self._mix(query_BTHD[view.rows], view)
                mixed_BTE = mixed_BTE.index_copy(0, view.rows, mixed_RTE.to(mixed_BTE.dtype))
        output: Tensor = self.o_proj(mixed_BTE)
        return output

    def queries(self, hidden_BTE: Tensor) -> Tensor:
        """Compute the queries [B, T, H, D] before rotation."""
        query_BTHD: Tensor = self.q_proj(self.layernorm(hidden_BTE)).unflatten(-1, (-1, self.head_size))
        return query_BTHD if self.q_norm is None else self.q_norm(query_BTHD)

    def _mix(self, query_BTHD: Tensor, view: View) -> Tensor:
        device = query_BTHD.device
        keys, values = view.past.keys[self.layer_idx].to(device), view.past.values[self.layer_idx].to(device)
        query = rotate(query_BTHD.flatten(0, 2), view.cos.to(device), view.sin.to(device)).view_as(query_BTHD)
        dropout = self.attention_dropout if self.training else 0.0
        name = self.config._attn_implementation
        scaling = self.scaling * view.sharpness
        mixed = attend(self, name, query.to(keys.dtype), keys, values, scaling=scaling, dropout=dropout)
        return mixed.flatten(-2)


def attend(
    module: nn.Module,
    implementation: str,
    query_BTHD: Tensor,
    key_KSD: Tensor,
    value_KSD: Tensor,
    *,
    scaling: float,
    dropout: float = 0.0,
) -> Tensor:
    """Attend from every query to every state through transformers' attention interface.

    Args:
        module: the module whose attributes the attention function reads.
        implementation: name of the attention function (`eager`, `sdpa`, `flash_attention_2`, …).
        query_BTHD: queries, rotated.
        key_KSD: keys of the retained states, rotated.
        value_KSD: values of the retained states.
        scaling: factor of the attention logits.
        dropout: probability of dropping an attention weight.

    Returns:
        [B, T, H, D].
    """
    rows, tokens, heads, size = query_BTHD.shape
    kv_heads = len(key_KSD)
    function = eager_attention_forward if implementation == "eager" else ALL_ATTENTION_FUNCTIONS[implementation]
    query_KQD = query_BTHD.view(rows, tokens, kv_heads, -1, size).permute(2, 0, 1, 3, 4).reshape(kv_heads, -1, size)
    mixed, _ = function(
        module,
        query_KQD[None],
        key_KSD[None],
        value_KSD[None],
        attention_mask=None,
        scaling=scaling,
        dropout=dropout,
        is_causal=False,
    )
    mixed_KQD = mixed[0].transpose(0, 1)
    unfolded = mixed_KQD.reshape(kv_heads, rows, tokens, heads // kv_heads, size).permute(1, 2, 0, 3, 4)
    return unfolded.reshape(rows, tokens, heads, size)


class InjectedLayer(nn.Module):
    """Mixin for a base model's decoder layer that adds the injection between self-attention and MLP.

    Without `inject`, the output is the base layer's.
    """

    self_attn: Any
    mlp: Any
    input_layernorm: Any
    post_attention_layernorm: Any

    def forward(self, hidden_states: Tensor, *, inject: Inject | None = None, **kwargs: Any) -> Tensor:
        """Run the layer; `kwargs` are passed to its self-attention."""
        attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **kwargs)
        hidden_states = hidden_states + attended
        if inject is not None and (injected := inject(self.self_attn.layer_idx, hidden_states)) is not None:
            hidden_states = hidden_states + injected.to(hidden_states.device)
        result: Tensor = hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))
        return result

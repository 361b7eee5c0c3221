"""Self-injection: the cross-attention from running text to retained states (paper, section 3.3), and where it stands.

A decoder layer with injection computes

    x = x + self_attention(norm(x))        the base model's own
    x = x + injection(x)                   new; zero until trained
    x = x + mlp(norm(x))                   the base model's own

All queries see all states, and all have the same position. So nothing is ever masked: rows are grouped by the past
context they see, and the rows, the heads that share a key/value head and the tokens become one long axis of queries.
Attention then reads each state once per key/value head, and rows without a past context are exactly zero.
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

#: Given a layer's number and hidden states, returns what the injection adds to them, or `None` for nothing.
Inject = Callable[[int, Tensor], Tensor | None]


class Injection(nn.Module):
    """The injection of one layer: W_q', W_o' and a norm of its own, copies of the layer's but for W_o', which is zero.

    Args:
        layer: the base model's decoder layer.
        text_config: the base model's configuration.
    """

    # What transformers' attention functions read off a module.
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
        """Take the starting values: the weights of `layer`, and zeros for the output projection."""
        attention = layer.self_attn
        self.q_proj.load_state_dict(attention.q_proj.state_dict())
        self.layernorm.load_state_dict(layer.post_attention_layernorm.state_dict())
        if self.q_norm is not None:
            self.q_norm.load_state_dict(attention.q_norm.state_dict())
        self.o_proj.weight.zero_()

    def forward(self, hidden_BTE: Tensor, views: list[View]) -> Tensor:
        """What the injection adds to the hidden states: [B, T, E], zero for rows that see nothing."""
        query_BTHD = self.queries(hidden_BTE)
        mixed_BTE = hidden_BTE.new_zeros(*hidden_BTE.shape[:2], self.q_proj.out_features)
        for view in views:
            if view.rows is None:
                mixed_BTE = self._mix(query_BTHD, view)
            else:
                mixed_RTE = self._mix(query_BTHD[view.rows], view)
                mixed_BTE = mixed_BTE.index_copy(0, view.rows, mixed_RTE.to(mixed_BTE.dtype))
        added: Tensor = self.o_proj(mixed_BTE)
        return added

    def queries(self, hidden_BTE: Tensor) -> Tensor:
        """Queries before rotation, [B, T, H, D]."""
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
    """Attention of every query to every state, [B, T, H, D], through transformers' attention interface.

    `implementation` is one of its names (`eager`, `sdpa`, `flash_attention_2`, …); it reads `module`'s attributes.
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
    """A decoder layer with room for the injection between self-attention and MLP; mixed into the base's own class.

    Without `inject` it computes what the base model's layer computes.
    """

    self_attn: Any
    mlp: Any
    input_layernorm: Any
    post_attention_layernorm: Any

    def forward(self, hidden_states: Tensor, *, inject: Inject | None = None, **kwargs: Any) -> Tensor:
        """As the base model's layer; `kwargs` are those of its self-attention."""
        attended, _ = self.self_attn(hidden_states=self.input_layernorm(hidden_states), **kwargs)
        hidden_states = hidden_states + attended
        if inject is not None and (injected := inject(self.self_attn.layer_idx, hidden_states)) is not None:
            hidden_states = hidden_states + injected.to(hidden_states.device)
        result: Tensor = hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))
        return result

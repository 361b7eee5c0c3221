"""Attention mask for a batch of nodes, per attention implementation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .base_families import sliding_window

__all__ = ["node_attention"]


def node_attention(
    config: Any, layer: int, hidden_NLE: Tensor, lengths: Sequence[int], *, full: bool
) -> dict[str, Any]:
    """Build the keyword arguments with which a decoder layer restricts attention to each node.

    Args:
        config: the base model's configuration.
        layer: number of the layer.
        hidden_NLE: hidden states of N nodes, padded on the right to L tokens.
        lengths: N, tokens of each node without padding.
        full: each token attends to its whole node; otherwise attention is causal.

    Returns:
        `attention_mask` in the format of the attention implementation, and `is_causal` if it is not the default.
    """
    name = config._attn_implementation
    length, device = hidden_NLE.shape[1], hidden_NLE.device
    window = sliding_window(config, layer)
    # Padding is on the right, so causal attention never sees it.
    real_NL = None
    if full and min(lengths) < length:
        real_NL = torch.arange(length, device=device) < torch.tensor(lengths, device=device)[:, None]
    flags = {"is_causal": False} if full else {}
    if "flash" in name:
        return {"attention_mask": real_NL, **flags}
    covers_node = window is None or length <= window
    if name == "sdpa" and covers_node and real_NL is None:
        return {"attention_mask": None, **flags}
    distance_LL = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)
    visible = torch.ones_like(distance_LL, dtype=torch.bool) if full else distance_LL >= 0
    if window is not None:
        visible = visible & (distance_LL.abs() < window)
    visible = visible[None, None] if real_NL is None else visible & real_NL[:, None, None]
    if name == "sdpa":
        return {"attention_mask": visible, **flags}
    lowest = torch.finfo(hidden_NLE.dtype).min
    return {"attention_mask": torch.zeros_like(visible, dtype=hidden_NLE.dtype).masked_fill(~visible, lowest), **flags}

"""Which tokens of a node see which, said as each attention implementation wants to hear it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .base_families import sliding_window

__all__ = ["node_attention"]


def node_attention(
    config: Any, layer: int, hidden_NLE: Tensor, lengths: Sequence[int], *, full: bool
) -> dict[str, Any]:
    """The keywords with which a decoder layer attends within nodes.

    Args:
        config: of the base model.
        layer: its number.
        hidden_NLE: hidden states of N nodes, shorter ones filled up on the right to L tokens.
        lengths: N, the tokens of each node.
        full: each token sees its whole node; otherwise those before it, and itself.
    """
    name = config._attn_implementation
    length, device = hidden_NLE.shape[1], hidden_NLE.device
    window = sliding_window(config, layer)
    # What fills up a node stands behind it, where causal attention does not look.
    real_NL = None
    if full and min(lengths) < length:
        real_NL = torch.arange(length, device=device) < torch.tensor(lengths, device=device)[:, None]
    told = {"is_causal": False} if full else {}
    if "flash" in name:
        return {"attention_mask": real_NL, **told}
    reaches_all = window is None or length <= window
    if name == "sdpa" and reaches_all and real_NL is None:
        return {"attention_mask": None, **told}
    back_LL = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)
    seen = torch.ones_like(back_LL, dtype=torch.bool) if full else back_LL >= 0
    if window is not None:
        seen = seen & (back_LL.abs() < window)
    seen = seen[None, None] if real_NL is None else seen & real_NL[:, None, None]
    if name == "sdpa":
        return {"attention_mask": seen, **told}
    lowest = torch.finfo(hidden_NLE.dtype).min
    return {"attention_mask": torch.zeros_like(seen, dtype=hidden_NLE.dtype).masked_fill(~seen, lowest), **told}

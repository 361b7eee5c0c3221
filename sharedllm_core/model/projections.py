"""Key, value and query projections of a base model's attention layer, before RoPE."""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["device_of", "project_keys", "project_queries", "project_values"]

# Suffixes: N tokens, K key/value heads, G query heads per key/value head, D head size, E hidden size.


def project_keys(attention: Any, normed: Tensor) -> Tensor:
    """Compute keys [..., K, D] from normed hidden states [..., E], with the key norm if the family has one."""
    keys = _heads(attention, attention.k_proj(normed))
    return attention.k_norm(keys) if hasattr(attention, "k_norm") else keys


def project_values(attention: Any, normed: Tensor) -> Tensor:
    """Compute values [..., K, D] from normed hidden states [..., E]."""
    return _heads(attention, attention.v_proj(normed))


def project_queries(attention: Any, normed_NE: Tensor) -> Tensor:
    """Compute queries [N, K, G, D] from normed hidden states [N, E], with the query norm if the family has one."""
    queries = _heads(attention, attention.q_proj(normed_NE))
    queries = attention.q_norm(queries) if hasattr(attention, "q_norm") else queries
    return queries.unflatten(1, (-1, attention.num_key_value_groups))


def device_of(layer: nn.Module) -> torch.device:
    """Return the device of a layer's weights."""
    return next(layer.parameters()).device


def _heads(attention: Any, projected: Tensor) -> Tensor:
    """Reshape [..., heads · D] to [..., heads, D]."""
    return projected.unflatten(-1, (-1, attention.head_dim))

"""Selection vectors v(x): the hidden state of a node after the first decoder layer and the final norm.

The paper takes the last token's, so only that token's query and MLP are computed; the policy `pooled` takes the mean
over all tokens.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from .base_families import sliding_window
from .node_attention import node_attention
from .projections import device_of, project_keys, project_queries, project_values
from .rotary import rotate

__all__ = ["last_vectors", "mean_vectors"]

# Suffixes: N nodes of a batch, L tokens of a node, E hidden size, K key/value heads, G query heads per key/value head,
# D head size.


def last_vectors(backbone: Any, ids_NL: Tensor) -> Tensor:
    """Compute selection vectors [N, E] of nodes of equal length from their last tokens.

    Args:
        backbone: the base model without its head.
        ids_NL: ids of the nodes.
    """
    layer = backbone.layers[0]
    attention = layer.self_attn
    hidden_NLE = backbone.embed_tokens(ids_NL).to(device_of(layer))
    length = ids_NL.shape[1]
    cos, sin = backbone.rotary_emb(hidden_NLE, torch.arange(length, device=hidden_NLE.device)[None])
    normed_NLE = layer.input_layernorm(hidden_NLE)
    last_NE = hidden_NLE[:, -1]
    query_NKGD = rotate(project_queries(attention, normed_NLE[:, -1]), cos[0, -1], sin[0, -1])
    key_NKLD = rotate(project_keys(attention, normed_NLE).transpose(1, 2), cos[0], sin[0])
    value_NKLD = project_values(attention, normed_NLE).transpose(1, 2)
    if (window := sliding_window(backbone.config, 0)) is not None:
        key_NKLD, value_NKLD = key_NKLD[:, :, -window:], value_NKLD[:, :, -window:]
    mixed_NKGD = scaled_dot_product_attention(query_NKGD, key_NKLD, value_NKLD, scale=attention.scaling)
    last_NE = last_NE + attention.o_proj(mixed_NKGD.flatten(1))
    last_NE = last_NE + layer.mlp(layer.post_attention_layernorm(last_NE))
    vectors: Tensor = backbone.norm(last_NE.to(backbone.norm.weight.device))
    return vectors


def mean_vectors(backbone: Any, ids_NL: Tensor, *, full: bool) -> Tensor:
    """Compute selection vectors [N, E] of nodes of equal length as the mean over their tokens.

    Args:
        backbone: the base model without its head.
        ids_NL: ids of the nodes.
        full: each token attends to its whole node; otherwise attention is causal.
    """
    layer = backbone.layers[0]
    hidden_NLE = backbone.embed_tokens(ids_NL).to(device_of(layer))
    positions = torch.arange(ids_NL.shape[1], device=hidden_NLE.device)[None]
    rotation = backbone.rotary_emb(hidden_NLE, positions)
    attention = node_attention(backbone.config, 0, hidden_NLE, [ids_NL.shape[1]], full=full)
    hidden_NLE = layer(hidden_NLE, position_embeddings=rotation, **attention)
    normed_NLE: Tensor = backbone.norm(hidden_NLE.to(backbone.norm.weight.device))
    return normed_NLE.mean(dim=1)

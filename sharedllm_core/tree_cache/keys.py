"""Cache keys: SHA-256 of everything that a tree depends on, and nothing else.

The namespace separates tenants: the same text has a different key in each.
"""

import hashlib
import json
from collections.abc import Sequence

import torch
from torch import Tensor

from ..method.config import SharedLLMConfig
from ..model.lower_model import LowerModel

__all__ = ["TreeKeys", "lower_fingerprint"]

_FORMAT = 3
# The settings of the method that change stored states. Policy and positions are not among them: states are stored
# before they are placed at a position.
_STATES_DEPEND_ON = (
    "injection_layers",
    "tree_depth",
    "sample_at",
    "lower_attention",
    "min_node_tokens",
    "split_after",
    "split_before",
)


class TreeKeys:
    """Computes the cache keys of one model and one namespace.

    Args:
        lower: the lower model whose trees are cached.
        namespace: namespace of the tenant.
        cache_dtype: dtype of the stored states: `"model"` or `"int8"`.
        fingerprint: fingerprint of `lower`'s weights, if known; otherwise all weights are hashed here.
    """

    def __init__(
        self, lower: LowerModel, namespace: str, cache_dtype: str = "model", *, fingerprint: str | None = None
    ) -> None:
        method = lower.method.to_dict()
        content = {
            "format": _FORMAT,
            "namespace": namespace,
            "weights": fingerprint or lower_fingerprint(lower),
            "base": _base_settings(lower),
            "method": {name: method[name] for name in _STATES_DEPEND_ON} | _encoding(lower.method),
            "finest": str(lower.method.level_compression_ratio(lower.method.tree_depth)),
            "roots": lower.method.scope == "past",
            "pooling": lower.pooling,
            "cache_dtype": cache_dtype,
        }
        self._common = hashlib.sha256(json.dumps(content, sort_keys=True).encode())

    def chunk_key(self, ids: Tensor | Sequence[int]) -> str:
        """Return the key of a chunk's tree: 64 hexadecimal digits.

        Args:
            ids: token ids [l] of the chunk.
        """
        key = self._common.copy()
        key.update(torch.as_tensor(ids, dtype=torch.int64).cpu().contiguous().numpy().tobytes())
        return key.hexdigest()


def _encoding(method: SharedLLMConfig) -> dict[str, str]:
    # Omitted for the default, so that trees from before this setting existed keep their keys.
    return {} if method.node_encoding == "alone" else {"node_encoding": method.node_encoding}


def lower_fingerprint(lower: LowerModel) -> str:
    """Return the SHA-256 of the weights that states and selection vectors depend on."""
    whole = hashlib.sha256()
    for name, weight in lower.named_weights():
        whole.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        whole.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _base_settings(lower: LowerModel) -> dict[str, object]:
    """Return the settings of the base model that its bottom layers depend on, besides their weights."""
    names = ("model_type", "rms_norm_eps", "rope_parameters", "hidden_act", "sliding_window", "layer_types")
    return {name: getattr(lower.backbone.config, name, None) for name in names}

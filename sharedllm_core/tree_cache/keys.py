"""Keys of trees: SHA-256 over everything that a tree depends on, and nothing else.

The namespace keeps tenants apart: the same text has another key for each.
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
# Of the method, what changes states before they are placed. The policy and the positions do not.
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
    """Makes the keys of one model and one namespace.

    Args:
        lower: the lower model whose trees are cached.
        namespace: of the tenant.
        cache_dtype: how states are stored: `"model"` or `"int8"`.
        fingerprint: of `lower`'s weights, if it is known already; otherwise every weight is read, once.
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

    def of_chunk(self, ids: Tensor | Sequence[int]) -> str:
        """The key of a chunk's tree: 64 hexadecimal digits."""
        key = self._common.copy()
        key.update(torch.as_tensor(ids, dtype=torch.int64).cpu().contiguous().numpy().tobytes())
        return key.hexdigest()


def _encoding(method: SharedLLMConfig) -> dict[str, str]:
    # Only where nodes share a run, so that trees of before there was a choice keep their keys.
    return {} if method.node_encoding == "alone" else {"node_encoding": method.node_encoding}


def lower_fingerprint(lower: LowerModel) -> str:
    """SHA-256 of the weights that states and selection vectors depend on."""
    whole = hashlib.sha256()
    for name, weight in lower.named_weights():
        whole.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        whole.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _base_settings(lower: LowerModel) -> dict[str, object]:
    """Of the base's configuration, what the bottom layers compute with beside their weights."""
    names = ("model_type", "rms_norm_eps", "rope_parameters", "hidden_act", "sliding_window", "layer_types")
    return {name: getattr(lower.backbone.config, name, None) for name in names}

"""The supported families of base models, and the checks that a base model must pass.

Their decoder layers have the same submodules in the same order. Each family keeps its own layer class, so masks, KV
caches and kernels remain those of transformers.
"""

from typing import Any

from torch import nn
from transformers import PreTrainedConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer
from transformers.models.mistral.modeling_mistral import MistralDecoderLayer
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer

from ..errors import UnsupportedBaseError
from .injection import InjectedLayer

__all__ = ["INJECTED_LAYERS", "UNSPLIT_LAYERS", "check_base", "check_base_type", "sliding_window"]


class InjectedLlamaLayer(InjectedLayer, LlamaDecoderLayer):
    """Llama's decoder layer with injection."""


class InjectedMistralLayer(InjectedLayer, MistralDecoderLayer):
    """Mistral's decoder layer with injection."""


class InjectedQwen2Layer(InjectedLayer, Qwen2DecoderLayer):
    """Qwen2's decoder layer with injection."""


class InjectedQwen3Layer(InjectedLayer, Qwen3DecoderLayer):
    """Qwen3's decoder layer with injection."""


#: Model type of the base → its decoder layer with injection.
INJECTED_LAYERS: dict[str, type[nn.Module]] = {
    "llama": InjectedLlamaLayer,
    "mistral": InjectedMistralLayer,
    "qwen2": InjectedQwen2Layer,
    "qwen3": InjectedQwen3Layer,
}

_BASE_LAYERS = (LlamaDecoderLayer, MistralDecoderLayer, Qwen2DecoderLayer, Qwen3DecoderLayer)

#: Names of layer classes, with and without injection, that `device_map` must not split across devices.
UNSPLIT_LAYERS = [layer.__name__ for layer in (*INJECTED_LAYERS.values(), *_BASE_LAYERS)]

# Kinds with fixed frequencies. `dynamic` and `longrope` change theirs with the length of the text, so the keys of nodes
# and the queries would be rotated by different frequencies.
_ROPE_KINDS = ("default", "linear", "llama3", "yarn")


def check_base_type(model_type: str) -> None:
    """Check that the family of a base model is supported.

    Raises:
        UnsupportedBaseError: it is not.
    """
    if model_type not in INJECTED_LAYERS:
        raise UnsupportedBaseError(
            f"base models of type {model_type!r} are not supported",
            remedy=f"use one of {', '.join(INJECTED_LAYERS)}",
        )


def check_base(text_config: PreTrainedConfig) -> None:
    """Check that self-injection can be added to a base model.

    Raises:
        UnsupportedBaseError: its family or its kind of RoPE is not supported.
    """
    check_base_type(text_config.model_type)
    rope: dict[str, Any] = text_config.rope_parameters or {}
    kind = rope.get("rope_type", "default")
    if kind not in _ROPE_KINDS:
        raise UnsupportedBaseError(
            f"RoPE of kind {kind!r} is not supported, since its frequencies depend on the length of the text",
            remedy=f"use a base model with one of {', '.join(_ROPE_KINDS)}",
        )
    if (share := rope.get("partial_rotary_factor", 1.0)) != 1.0:
        raise UnsupportedBaseError(
            f"RoPE on {share:.0%} of each head (partial_rotary_factor={share}) is not supported",
            remedy="use a base model that rotates whole heads",
        )


def sliding_window(text_config: PreTrainedConfig, layer: int) -> int | None:
    """Return the sliding window of a layer's self-attention in tokens; `None` for full attention."""
    window: int | None = getattr(text_config, "sliding_window", None)
    kinds = getattr(text_config, "layer_types", None)
    return window if kinds is None or kinds[layer] == "sliding_attention" else None

"""The base model alone, with the engine's weights: what reads beyond the window, which the injected model refuses."""

import copy
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from ... import SharedLLMForCausalLM, UnsupportedBaseError

__all__ = ["base_model", "check_plain_rope", "set_rope"]


def base_model(model: SharedLLMForCausalLM, attention: str | None = None) -> Any:
    """transformers' own model of the base's family. It shares the weights: no tensor is copied.

    Args:
        model: whose base is meant; all on one device.
        attention: the attention implementation, if it is to be another one.
    """
    config = copy.deepcopy(model.config.get_text_config())
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(
            config, attn_implementation=attention or model.model.config._attn_implementation, dtype=model.dtype
        )
    weights = {name: weight for name, weight in model.state_dict().items() if not name.startswith("injection.")}
    base.load_state_dict(weights, assign=True)
    base.model.rotary_emb = copy.deepcopy(model.model.rotary_emb)  # its buffers are in no state dict
    base.generation_config = None
    return base.eval().requires_grad_(False)


def check_plain_rope(model: SharedLLMForCausalLM, wanted: str) -> None:
    """Check that a base's RoPE is not scaled already.

    Raises:
        UnsupportedBaseError: it is; a second scaling on top would be neither.
    """
    kind = model.config.get_text_config().rope_parameters["rope_type"]
    if kind != "default":
        raise UnsupportedBaseError(
            f"the base model's RoPE is scaled already ({kind!r}) and cannot also be scaled by {wanted!r}",
            remedy="use full_attention without scaling, or a base model with plain RoPE",
        )


def set_rope(base: Any, parameters: dict[str, Any], length: int) -> None:
    """Scale a base model's RoPE by transformers' own function, for texts that will have `length` tokens.

    The frequencies stay the same for the whole text, also where they depend on its length: read in blocks, a text gets
    the keys that it gets at once.
    """
    config = copy.deepcopy(base.config)
    config.rope_parameters = {**config.rope_parameters, **parameters}
    rotary = base.model.rotary_emb
    scaled = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, rotary.inv_freq.device, seq_len=length)
    rotary.inv_freq, rotary.attention_scaling = scaled

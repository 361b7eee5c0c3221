"""What answers depend on beside the question: all weights, the method, the generation settings, the tokenizer."""

import hashlib
import json
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ..model.modeling import SharedLLMForCausalLM
from ..text.tokenization import TextTokenizer

__all__ = ["answer_fingerprint", "hash_weights"]

_SAMPLES = 4_096  # values of each tensor
_WHOLE_NUMBERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_ELSEWHERE = {"_name_or_path", "transformers_version"}  # where a model was, and what wrote it, change no answer


def answer_fingerprint(model: SharedLLMForCausalLM, tokenizer: TextTokenizer, weights: Any = None) -> str:
    """A short hash that two engines share if they answer every question in the same way.

    Args:
        model, tokenizer: of the engine.
        weights: what `hash_weights` returned for the model, if it is known already.
    """
    whole = hash_weights(model) if weights is None else weights.copy()
    config = {name: value for name, value in model.config.to_dict().items() if name not in _ELSEWHERE}
    settings = {
        "config": config,
        "method": model.method.to_dict(),
        "generation": None if model.generation_config is None else model.generation_config.eos_token_id,
        "tokenizer": tokenizer.fingerprint,
        "chat_template": getattr(tokenizer.tokenizer, "chat_template", None),
        "eos": tokenizer.tokenizer.eos_token_id,
    }
    whole.update(json.dumps(settings, sort_keys=True, default=str).encode())
    fingerprint: str = whole.hexdigest()[:24]
    return fingerprint


def hash_weights(model: SharedLLMForCausalLM) -> Any:
    """A SHA-256 of each weight's checksum, which any change alters, and of evenly spaced values.

    Much faster than hashing all values, and the weights stay on their device.
    """
    whole = hashlib.sha256()
    for name, weight in sorted(chain(model.named_parameters(), model.named_buffers())):
        whole.update(f"{name} {tuple(weight.shape)} {weight.dtype} {_checksum(weight)}".encode())
        whole.update(_sample(weight).numpy().tobytes())
    return whole


def _checksum(weight: Tensor) -> int:
    """The sum of the values' bits: exact, so in any order and on any device the same."""
    return int(_bits(weight).sum(dtype=torch.int64))


def _sample(weight: Tensor) -> Tensor:
    bits = _bits(weight)
    return bits[:: max(1, len(bits) // _SAMPLES)].contiguous().cpu()


def _bits(weight: Tensor) -> Tensor:
    flat = weight.detach().contiguous().reshape(-1)
    return flat.view(_WHOLE_NUMBERS[flat.element_size()])

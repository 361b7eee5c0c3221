"""A hash of everything but the question that answers depend on: weights, method, generation settings, tokenizer."""

import hashlib
import json
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..generation.sampling_settings import SamplingSettings
from ..text.tokenization import TextTokenizer

__all__ = ["answer_fingerprint", "hash_weights"]

_SAMPLES = 4_096  # values of each tensor
_INTEGER_DTYPES = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_IGNORED_CONFIG = {"_name_or_path", "transformers_version"}  # do not affect answers


def answer_fingerprint(model: PreTrainedModel, tokenizer: TextTokenizer, weights: Any = None) -> str:
    """Hash everything that determines answers; engines with equal hashes answer every question alike.

    Args:
        model, tokenizer: of the engine.
        weights: the result of `hash_weights` for the model; computed if it is `None`.

    Returns:
        24 hexadecimal digits.
    """
    digest = hash_weights(model) if weights is None else weights.copy()
    config = {name: value for name, value in model.config.to_dict().items() if name not in _IGNORED_CONFIG}
    settings = {
        "config": config,
        "method": method.to_dict() if (method := getattr(model, "method", None)) else None,
        "sampling": SamplingSettings.from_checkpoint(model.generation_config),
        "generation": None if model.generation_config is None else model.generation_config.eos_token_id,
        "tokenizer": tokenizer.fingerprint,
        "chat_template": getattr(tokenizer.tokenizer, "chat_template", None),
        "eos": tokenizer.tokenizer.eos_token_id,
    }
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    fingerprint: str = digest.hexdigest()[:24]
    return fingerprint


def hash_weights(model: PreTrainedModel) -> Any:
    """Compute a SHA-256 over each weight's checksum, which covers every value, and evenly spaced samples.

    This is much faster than hashing all values, and the weights stay on their device.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(chain(model.named_parameters(), model.named_buffers())):
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype} {_checksum(weight)}".encode())
        digest.update(_sample(weight).numpy().tobytes())
    return digest


def _checksum(weight: Tensor) -> int:
    """Sum the values' bit patterns as integers: exact, so the same in any order and on any device."""
    return int(_bits(weight).sum(dtype=torch.int64))


def _sample(weight: Tensor) -> Tensor:
    bits = _bits(weight)
    return bits[:: max(1, len(bits) // _SAMPLES)].contiguous().cpu()


def _bits(weight: Tensor) -> Tensor:
    flat = weight.detach().contiguous().reshape(-1)
    return flat.view(_INTEGER_DTYPES[flat.element_size()])

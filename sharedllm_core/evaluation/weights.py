"""Which weights were measured, told apart in a moment."""

import hashlib

from torch import nn

__all__ = ["weights_digest"]

_SAMPLES = 4_096  # values of each tensor


def weights_digest(model: nn.Module) -> str:
    """A short hash of evenly spaced values of every weight: another training step gives another hash."""
    whole = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        values = weight.detach().flatten()
        sample = values[:: max(1, values.numel() // _SAMPLES)].float().cpu().contiguous()
        whole.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode() + sample.numpy().tobytes())
    return whole.hexdigest()[:24]

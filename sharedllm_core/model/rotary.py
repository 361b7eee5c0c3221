"""Rotary position embeddings of keys by their chunk and of queries by the running text (paper, section 3.3).

Angles are positions times the base model's original inverse frequencies, in float32 and for any position: no table of
limited length, no attention scaling, no length-dependent frequencies. A rotated tensor is rounded to its dtype once.
"""

import torch
from torch import Tensor

__all__ = ["angles", "rotate", "rotate_in_place"]

# Suffixes: S states or tokens, D head size.


def angles(positions_S: Tensor, inv_freq: Tensor) -> tuple[Tensor, Tensor]:
    """Compute cosines and sines [S, D] in float32 of positions [S], for inverse frequencies [D/2]."""
    angle = positions_S.to(inv_freq.device, torch.float32)[:, None] * inv_freq.float()
    angle_SD = torch.cat((angle, angle), dim=-1)
    return angle_SD.cos(), angle_SD.sin()


def rotate(states: Tensor, cos_SD: Tensor, sin_SD: Tensor) -> Tensor:
    """Rotate `states` [..., S, D] in float32 or their wider dtype; the result has the dtype of `states`."""
    wide = states.to(torch.promote_types(states.dtype, torch.float32))
    first, second = wide.chunk(2, dim=-1)
    rotated = torch.cat((-second, first), dim=-1)
    return (wide * cos_SD + rotated * sin_SD).to(states.dtype)


def rotate_in_place(states: Tensor, cos_SD: Tensor, sin_SD: Tensor) -> None:
    """Do the same to `states` itself, without gradients and with fewer intermediate tensors."""
    wide = states.to(torch.promote_types(states.dtype, torch.float32))
    half = wide.shape[-1] // 2
    rotated = wide * cos_SD
    rotated[..., :half].addcmul_(wide[..., half:], sin_SD[..., :half], value=-1)
    rotated[..., half:].addcmul_(wide[..., :half], sin_SD[..., half:])
    states.copy_(rotated)

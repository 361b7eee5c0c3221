"""Rotations by position: of keys by their chunk, of queries by the running text (paper, section 3.3).

The angles are positions times the base model's original inverse frequencies, computed in float32 for any position:
no table that ends at the window, no attention scaling, no frequencies that change with length. A rotated tensor is
rounded to its own dtype once.
"""

import torch
from torch import Tensor

__all__ = ["angles", "rotate"]

# Suffixes: S states or tokens, D head size.


def angles(positions_S: Tensor, inv_freq: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [S, D] in float32 of `positions_S` [S] for inverse frequencies [D/2]."""
    angle = positions_S.to(inv_freq.device, torch.float32)[:, None] * inv_freq.float()
    angle_SD = torch.cat((angle, angle), dim=-1)
    return angle_SD.cos(), angle_SD.sin()


def rotate(states: Tensor, cos_SD: Tensor, sin_SD: Tensor) -> Tensor:
    """Rotate `states` [..., S, D] in float32 (or wider, if they are); the result has their dtype."""
    wide = states.to(torch.promote_types(states.dtype, torch.float32))
    first, second = wide.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (wide * cos_SD + turned * sin_SD).to(states.dtype)

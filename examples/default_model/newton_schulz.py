"""Muon's orthogonal steps in float32, for CPUs that cannot multiply in bfloat16.

torch's Muon orthogonalizes each step in bfloat16, whatever the weights are. A CPU without instructions for that takes
25 seconds for one step of the embedded model, and 3 with the same iteration in float32.
"""

import torch
from torch import Tensor
from torch.optim import _muon as torchs_muon


def orthogonalized(grad: Tensor, ns_coefficients: tuple[float, float, float], ns_steps: int, eps: float) -> Tensor:
    """The matrix of shape (rows, columns) with all its singular values drawn towards 1, by Newton and Schulz.

    The arguments are named as torch's. `ns_coefficients` are those of x, x³ and x⁵ in the polynomial that each of the
    `ns_steps` puts the singular values through; `eps` is the least norm that is divided by.
    """
    a, b, c = ns_coefficients
    wide = grad if grad.shape[0] <= grad.shape[1] else grad.mT
    wide = wide.float() / wide.norm().clamp(min=eps)
    for _ in range(ns_steps):
        gram = wide @ wide.mT
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if grad.shape[0] <= grad.shape[1] else wide.mT


def use_float32() -> None:
    """From now on `torch.optim.Muon` orthogonalizes in float32. The function that is replaced is private to torch."""
    torchs_muon._zeropower_via_newtonschulz = orthogonalized

"""Muon for matrices of few different shapes: those of one shape take their steps together.

torch's own goes through the matrices one after another, which on a GPU is half of a step of the embedded model's
training, and orthogonalizes in bfloat16, which a CPU without instructions for that takes 25 seconds for.
"""

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

__all__ = ["Muon", "orthogonalized"]

_COEFFICIENTS = (3.4445, -4.775, 2.0315)  # of x, x³ and x⁵ in the polynomial that singular values are put through
_STEPS = 5
_EPS = 1e-7
_RMS = 0.2  # root mean square of a step at a rate of 1, as AdamW's are

# Suffixes: N matrices of R rows and C columns.


def orthogonalized(grad_NRC: Tensor) -> Tensor:
    """Matrices with all their singular values drawn towards 1, by Newton and Schulz."""
    a, b, c = _COEFFICIENTS
    is_high = grad_NRC.shape[-2] > grad_NRC.shape[-1]
    wide = grad_NRC.mT if is_high else grad_NRC
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=_EPS)
    for _ in range(_STEPS):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.mT if is_high else wide


class Muon(torch.optim.Optimizer):
    """Steps of orthogonalized momentum.

    Args:
        matrices: to train.
        lr: rate, of the size of AdamW's.
        momentum: share of the last steps in the next.
        dtype: to orthogonalize in.
    """

    def __init__(
        self, matrices: Iterable[Tensor], lr: float, momentum: float = 0.95, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step, of all matrices that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in alike.items():
                grad_NRC = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
                state = self.state[matrices[0]]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(grad_NRC)
                state["momentum"].lerp_(grad_NRC, 1 - group["momentum"])
                step_NRC = orthogonalized(grad_NRC.lerp(state["momentum"], group["momentum"]).to(self._dtype))
                rate = group["lr"] * _RMS * sqrt(max(shape))
                torch._foreach_add_(matrices, list(step_NRC.to(grad_NRC.dtype).unbind()), alpha=-rate)

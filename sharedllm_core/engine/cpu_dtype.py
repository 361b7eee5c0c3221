"""Which dtype a CPU computes in: half precision only where it can multiply in it.

Many CPUs have no instructions for bfloat16 or float16. There PyTorch multiplies number by number: a matrix product in
bfloat16 was 30 times slower than in float32 on such a machine. So an engine that is not told a dtype turns weights in
half precision into float32 there, which changes none of them, and rounds less.
"""

import logging
import os

import torch

__all__ = ["computing_dtype", "multiplies"]

_HALF = (torch.bfloat16, torch.float16)
_SHARE_OF_MEMORY = 0.5
_logger = logging.getLogger(__name__)


def multiplies(dtype: torch.dtype) -> bool:
    """Whether PyTorch multiplies matrices of `dtype` on this CPU with instructions made for it."""
    if dtype not in _HALF:
        return True
    name = "_is_mkldnn_bf16_supported" if dtype == torch.bfloat16 else "_is_mkldnn_fp16_supported"
    try:
        return torch.backends.mkldnn.is_available() and bool(getattr(torch.ops.mkldnn, name)())
    except (AttributeError, RuntimeError):  # builds without oneDNN do not have these operators
        return False


def computing_dtype(dtype: torch.dtype, num_parameters: int) -> torch.dtype:
    """The dtype for weights saved in `dtype` on this CPU, where nobody asked for one.

    Args:
        dtype: of the weights.
        num_parameters: of the model. In float32 it has to fit into half of the machine's memory; one that does not
            stays as it is, and a warning says so.
    """
    if multiplies(dtype):
        return dtype
    needed, there = 4 * num_parameters, _memory_bytes()
    if there is not None and needed > _SHARE_OF_MEMORY * there:
        _logger.warning(
            "this CPU has no instructions for %s, and computing in it is many times slower than in float32; the "
            "weights would take %.1f GB of %.1f GB in float32, so they stay; use a GPU, or say dtype='float32'",
            str(dtype).removeprefix("torch."),
            needed / 1e9,
            there / 1e9,
        )
        return dtype
    return torch.float32


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return None

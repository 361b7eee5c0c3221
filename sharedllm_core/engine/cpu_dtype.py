"""The compute dtype on a CPU: half precision only if the CPU has matmul instructions for it.

Many CPUs have none for bfloat16 or float16, and PyTorch falls back to scalar code: on such a machine a bfloat16 matmul
took 30 times as long as a float32 one. Without an explicit dtype, an engine therefore casts half-precision weights to
float32 there. The cast is exact, and activations are rounded less.
"""

import logging
import os

import torch

__all__ = ["compute_dtype", "has_native_matmul"]

_HALF_DTYPES = (torch.bfloat16, torch.float16)
_MAX_MEMORY_SHARE = 0.5
_logger = logging.getLogger(__name__)


def has_native_matmul(dtype: torch.dtype) -> bool:
    """Whether this CPU has matmul instructions for `dtype` that PyTorch uses."""
    if dtype not in _HALF_DTYPES:
        return True
    name = "_is_mkldnn_bf16_supported" if dtype == torch.bfloat16 else "_is_mkldnn_fp16_supported"
    try:
        return torch.backends.mkldnn.is_available() and bool(getattr(torch.ops.mkldnn, name)())
    except (AttributeError, RuntimeError):  # builds without oneDNN lack these operators
        return False


def compute_dtype(dtype: torch.dtype, num_parameters: int) -> torch.dtype:
    """Choose the dtype to compute in on this CPU when the caller requested none.

    Args:
        dtype: of the saved weights.
        num_parameters: of the model. If its weights in float32 exceed half of the machine's memory, `dtype` is kept and
            a warning is logged.
    """
    if has_native_matmul(dtype):
        return dtype
    needed, available = 4 * num_parameters, _memory_bytes()
    if available is not None and needed > _MAX_MEMORY_SHARE * available:
        _logger.warning(
            "this CPU has no instructions for %s, and computing in it is many times slower than in float32; the "
            "weights would take %.1f GB of %.1f GB in float32, so they keep their dtype; use a GPU, or pass "
            "dtype='float32'",
            str(dtype).removeprefix("torch."),
            needed / 1e9,
            available / 1e9,
        )
        return dtype
    return torch.float32


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return None

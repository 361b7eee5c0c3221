"""What the hardware allows: rates measured beside the systems, and the work that each figure cannot do without.

A floor is the work over the rate: operations of matrix products over the rate of a large product, or bytes over the
bandwidth of a large copy, whichever takes longer. No system gets below its floor but by noise; how near it comes is
what a program can be blamed for.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from ...method.config import SharedLLMConfig
from ...planning import ModelShape, formulas
from ...planning.trees import TreeCounts, count_all, count_retained

__all__ = [
    "Rates",
    "Sizes",
    "Work",
    "floors_of",
    "full_attention_work",
    "measure_rates",
    "now",
    "shared_work",
    "streaming_work",
]

_RUNS = 5
_COPIED_BYTES = {"cpu": 256 * 2**20, "accelerator": 2 * 2**30}  # far more than caches hold
_MATRIX = {"cpu": 2048, "accelerator": 8192}
_DISK_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Rates:
    """Measured rates of this machine now.

    Attributes:
        operations_per_s: multiplications and additions of a large matrix product in the model's dtype.
        bytes_per_s: read and written by a large copy on the device.
        disk_bytes_per_s: read from a file that was just written, as trees from disk mostly are.
    """

    operations_per_s: float
    bytes_per_s: float
    disk_bytes_per_s: float

    def seconds(self, work: "Work") -> float:
        """The least time for some work."""
        on_device = max(work.operations / self.operations_per_s, work.num_bytes / self.bytes_per_s)
        return on_device + work.disk_bytes / self.disk_bytes_per_s


@dataclass(frozen=True)
class Work:
    """Operations on the device, bytes that cross its memory, and bytes read from disk."""

    operations: float = 0
    num_bytes: float = 0
    disk_bytes: float = 0


def measure_rates(device: str, dtype: torch.dtype, folder: Path) -> Rates:
    """Measure; `folder` is on the disk where trees will be."""
    kind = "cpu" if device == "cpu" else "accelerator"
    size = _MATRIX[kind]
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    product = torch.empty(size, size, device=device, dtype=dtype)
    source = torch.ones(_COPIED_BYTES[kind], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    file = folder / "rate"
    file.write_bytes(bytes(_DISK_BYTES))
    buffer = bytearray(_DISK_BYTES)

    def read_file() -> None:
        with file.open("rb", buffering=0) as opened:
            opened.readinto(buffer)

    try:
        return Rates(
            operations_per_s=2 * size**3 / _seconds(lambda: torch.mm(left, right, out=product), device),
            bytes_per_s=2 * len(source) / _seconds(lambda: target.copy_(source), device),
            disk_bytes_per_s=_DISK_BYTES / _seconds(read_file, "cpu"),
        )
    finally:
        file.unlink()


def _seconds(call: Callable[[], object], device: str) -> float:
    call()
    taken = []
    for _ in range(_RUNS):
        begin = now(device)
        call()
        taken.append(now(device) - begin)
    return median(taken)


def now(device: str) -> float:
    """Seconds, when the device has done what it was told."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


@dataclass(frozen=True)
class Sizes:
    """Of one row of the measurement, in tokens."""

    past_tokens: int
    prompt_tokens: int
    new_tokens: int


def shared_work(shape: ModelShape, method: SharedLLMConfig, sizes: Sizes) -> dict[str, Work]:
    """The work of each figure of a model with injection, by name."""
    retained, all_nodes = count_retained(sizes.past_tokens, method), count_all(sizes.past_tokens, method)
    states = formulas.state_bytes(shape, method, retained.num_states)
    answering = formulas.prefill_operations(shape, sizes.prompt_tokens)
    answering += formulas.injection_operations(shape, method, sizes.prompt_tokens, retained.num_states)
    weights = _weights_read(shape) + shape.injection_parameters(method.injection_layers) * shape.bytes_per_parameter
    gathered = Work(answering, weights + 3 * states)  # read where they are kept, written together, read by attention
    return {
        "unread": Work(_lower(shape, method, retained) + answering, weights + 2 * states),
        "read": Work(_lower(shape, method, all_nodes), formulas.cache_bytes(shape, method, all_nodes)),
        "warm": gathered,
        "from_disk": Work(gathered.operations, gathered.num_bytes, formulas.cache_bytes(shape, method, all_nodes)),
        "decode": _decoding(shape, sizes, weights + states),
    }


def full_attention_work(shape: ModelShape, sizes: Sizes) -> dict[str, Work]:
    """The same of full attention; `warm` goes on from kept keys and values."""
    both = sizes.past_tokens + sizes.prompt_tokens
    kept = formulas.kv_bytes(shape, sizes.past_tokens)
    prompt = formulas.prefill_operations(shape, sizes.prompt_tokens, seen=sizes.past_tokens)
    return {
        "unread": Work(formulas.prefill_operations(shape, both), _weights_read(shape) + kept),
        "warm": Work(prompt, _weights_read(shape) + kept),
        "decode": _decoding(shape, sizes, _weights_read(shape) + kept),
    }


def streaming_work(shape: ModelShape, sizes: Sizes, window_tokens: int) -> dict[str, Work]:
    """The same of a stream whose tokens see at most `window_tokens`, themselves among them."""
    both = sizes.past_tokens + sizes.prompt_tokens
    inside = min(both, window_tokens)
    pairs = formulas.causal_pairs(inside) + (both - inside) * window_tokens
    layer = 2 * both * shape.layer_matrix_elements + formulas.attention_operations(shape, pairs)
    seen = max(0, min(sizes.past_tokens, window_tokens - sizes.prompt_tokens - sizes.new_tokens // 2))
    kept = formulas.kv_bytes(shape, seen)
    head = 2 * shape.embedding_parameters
    return {
        "unread": Work(shape.layers * layer + head, _weights_read(shape) + kept),
        "warm": Work(formulas.prefill_operations(shape, sizes.prompt_tokens, seen=seen), _weights_read(shape) + kept),
        "decode": _decoding(shape, sizes, _weights_read(shape) + kept),
    }


def _lower(shape: ModelShape, method: SharedLLMConfig, counts: TreeCounts) -> int:
    """The lower model's operations, but for what the program computes twice.

    Keys and values of kept tokens are made anew without their rotation, though whole layers made them before.
    """
    full = method.lower_attention == "full"
    twice = 2 * counts.num_states * 2 * shape.hidden * shape.kv_width * (method.injection_layers - 1)
    return formulas.lower_model_operations(shape, method, counts, skips_masked=not full) - twice


def _decoding(shape: ModelShape, sizes: Sizes, num_bytes: int) -> Work:
    """One token: all that is kept is read, and the running text's own keys and values, half of the new ones of them."""
    running_text = sizes.prompt_tokens + sizes.new_tokens // 2
    return Work(formulas.decoding_operations(shape, running_text), num_bytes + formulas.kv_bytes(shape, running_text))


def _weights_read(shape: ModelShape) -> int:
    return shape.parameters_read * shape.bytes_per_parameter


def floors_of(work: dict[str, Work], rates: Rates) -> dict[str, float]:
    """The least seconds of each figure; of `decode`, for one token."""
    return {name: rates.seconds(of) for name, of in work.items()}

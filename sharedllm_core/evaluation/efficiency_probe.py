"""One system at one length, in this process alone: prints its figures as a line of JSON.

`efficiency.py` starts it. Times are medians over the runs; a run is a past context read from nothing, a first token,
and the decoding of some more. The peak is the process's own since before the first run; what it held then (on a CPU:
interpreter, libraries and weights) is measured as resting.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from .. import PastContext, SharedLLMConfig, SharedLLMForCausalLM

__all__ = ["SYSTEMS", "Probe"]

SYSTEMS = ("sharedllm", "full attention")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What to measure: a system, a base model's folder, sizes in tokens, and where to run."""

    system: str
    base: str
    past_tokens: int
    prompt_tokens: int
    new_tokens: int
    injection_layers: int
    chunk_tokens: int
    repeats: int
    max_seconds: float
    device: str
    dtype: str


@dataclass
class Prefilled:
    """A model's answer to past context and prompt: the first token's logits, its cache, and its retained states."""

    logits: Tensor
    cache: Any
    past: PastContext | None


Prefill = Callable[[Tensor, Tensor], Prefilled]


@torch.inference_mode()
def run(probe: Probe) -> dict[str, Any]:
    """The figures of a probe: seconds, tokens per second, bytes."""
    model, prefill = _system(probe)
    generator = torch.Generator().manual_seed(0)
    past_ids, prompt = (
        torch.randint(0, model.config.vocab_size, (tokens,), generator=generator)
        for tokens in (probe.past_tokens, probe.prompt_tokens)
    )
    _decode(model, prefill(past_ids[: probe.chunk_tokens], prompt), 2)  # warm up
    _forget_peak(probe.device)
    resting = _peak(probe.device)
    first_token: list[float] = []
    decoding: list[float] = []
    states = 0
    started = time.perf_counter()
    while not first_token or (len(first_token) < probe.repeats and time.perf_counter() - started < probe.max_seconds):
        begin = _now(probe.device)
        prefilled = prefill(past_ids, prompt)
        int(prefilled.logits.argmax())
        first_token.append(_now(probe.device) - begin)
        begin = _now(probe.device)
        _decode(model, prefilled, probe.new_tokens)
        decoding.append(probe.new_tokens / (_now(probe.device) - begin))
        states = prefilled.past.nbytes if prefilled.past else _cache_bytes(prefilled.cache)
        del prefilled
    return {
        "first_token_s": median(first_token),
        "tokens_per_s": median(decoding),
        "resting_bytes": resting,
        "peak_bytes": _peak(probe.device),
        "weight_bytes": sum(weight.nbytes for weight in model.parameters()),
        "state_bytes": states,
        "runs": len(first_token),
    }


def _system(probe: Probe) -> tuple[Any, Prefill]:
    loading: dict[str, Any] = {"dtype": getattr(torch, probe.dtype)}
    if probe.system == "full attention":
        base = AutoModelForCausalLM.from_pretrained(probe.base, **loading).to(probe.device).eval()

        def prefill_all(past_ids: Tensor, prompt: Tensor) -> Prefilled:
            text = torch.cat((past_ids, prompt))[None].to(probe.device)
            out = base(text, use_cache=True, logits_to_keep=1)
            return Prefilled(out.logits, out.past_key_values, None)

        return base, prefill_all

    method = SharedLLMConfig(injection_layers=probe.injection_layers, chunk_tokens=probe.chunk_tokens)
    model: Any = SharedLLMForCausalLM.from_base(probe.base, method, **loading)
    model = model.to(probe.device).eval()

    def prefill_compressed(past_ids: Tensor, prompt: Tensor) -> Prefilled:
        past = model.encode_past_context(past_ids.split(probe.chunk_tokens), prompt)
        out = model(prompt[None].to(probe.device), past_context=past, use_cache=True, logits_to_keep=1)
        return Prefilled(out.logits, out.past_key_values, past)

    return model, prefill_compressed


def _decode(model: Any, prefilled: Prefilled, tokens: int) -> None:
    logits = prefilled.logits
    seen = {"past_context": prefilled.past} if prefilled.past else {}
    for _ in range(tokens):
        ids = logits[:, -1:].argmax(-1)
        logits = model(ids, past_key_values=prefilled.cache, use_cache=True, **seen).logits
    int(logits.argmax())


def _cache_bytes(cache: Any) -> int:
    return sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)


def _now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _forget_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM, Linux


def _peak(device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    print(json.dumps(run(Probe(**json.loads(sys.argv[1])))))

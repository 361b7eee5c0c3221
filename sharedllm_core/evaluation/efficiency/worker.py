"""One length, in this process alone: the systems in turns, a line of JSON for each.

`run.py` starts it. A system's line says its figures of one turn, in seconds; `error` where it could not. What the
process says last it was doing is what it died of, if it dies: a kernel that frees memory gives no reasons.

On a CPU, peaks are of the process, above what it held before the turn; on a GPU they are of torch's allocator there.
"""

import ctypes
import gc
import json
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ... import DeviceMemoryError, SharedLLMError, SharedLLMForCausalLM
from ...model.lower_model import is_out_of_memory
from . import floors
from .floors import Sizes, Work, floors_of, measure_rates, now
from .settings import EfficiencySettings
from .systems import (
    MeasuredSystem,
    Opened,
    SharedLLMMeasured,
    encoder_decoder_of,
    make_systems,
    methods_of,
    shape_of,
    window_of,
)
from .weights import load_measured, text_ids

__all__ = ["OUT_OF_MEMORY", "main", "work_of"]

OUT_OF_MEMORY = "out of memory"


def main(arguments: list[str]) -> None:
    """Measure what the settings (JSON) name at one length, except the systems named after them."""
    settings = EfficiencySettings.from_dict(json.loads(arguments[0]))
    length, left_out = int(arguments[1]), arguments[2:]
    model = load_measured(settings)
    ids = text_ids(settings, model, length + settings.prompt_tokens * (settings.repeats + 1))
    with tempfile.TemporaryDirectory() as folder:
        rates = measure_rates(settings.device, model.dtype, Path(folder))
        weight_bytes = sum(weight.nbytes for weight in model.parameters())
        dtype = str(model.dtype).removeprefix("torch.")
        _say({"rates": asdict(rates), "weight_bytes": weight_bytes, "dtype": dtype})
        prompts = ids[length:].split(settings.prompt_tokens)
        _warm_up(make_systems(model, settings, ids[: model.method.chunk_tokens], Path(folder)), prompts[0])
        systems = make_systems(model, settings, ids[:length], Path(folder))
        systems = [system for system in systems if system.name not in left_out]
        work = work_of(model, settings, length)
        _Turns(systems, settings, prompts, {name: floors_of(of, rates) for name, of in work.items()}).run()


@torch.no_grad()
def _warm_up(systems: list[MeasuredSystem], prompt: Tensor) -> None:
    """Whatever happens once, happens here."""
    for system in systems:
        system.unread(prompt).decode()
        system.forget()


def work_of(model: SharedLLMForCausalLM, settings: EfficiencySettings, length: int) -> dict[str, dict[str, Work]]:
    """The work of each figure of each system, by its name."""
    shape = shape_of(model)
    sizes = Sizes(length, settings.prompt_tokens, settings.new_tokens)
    work = {
        f"sharedllm, M = {method.injection_layers}": floors.shared_work(shape, method, sizes)
        for method in methods_of(model, settings)
    }
    work["full attention"] = floors.full_attention_work(shape, sizes)
    work["streaming"] = floors.streaming_work(shape, sizes, window_of(model, settings))
    work["encoder-decoder"] = floors.shared_work(shape, encoder_decoder_of(model), sizes)
    return work


class _Turns:
    """Systems take turns until each has had enough of them, or enough time."""

    def __init__(
        self,
        systems: list[MeasuredSystem],
        settings: EfficiencySettings,
        prompts: tuple[Tensor, ...],
        floors: dict[str, dict[str, float]],
    ) -> None:
        self._waiting = list(systems)
        self._settings = settings
        self._prompts = prompts
        self._floors = floors
        self._taken = dict.fromkeys((system.name for system in systems), 0.0)

    def run(self) -> None:
        for turn in range(self._settings.repeats):
            for system in list(self._waiting):
                _say({"system": system.name, "begins": turn})
                begin = time.perf_counter()
                _say({"system": system.name, "floors": self._floors[system.name], **self._turn(system, turn)})
                self._taken[system.name] += time.perf_counter() - begin
                if self._taken[system.name] >= self._settings.max_seconds and system in self._waiting:
                    self._waiting.remove(system)
                    _say({"system": system.name, "enough": True})

    def _turn(self, system: MeasuredSystem, turn: int) -> dict[str, Any]:
        try:
            return {"figures": self._figures(system, self._prompts[turn], self._prompts[turn + 1])}
        except (DeviceMemoryError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                raise
            self._waiting.remove(system)
            return {"error": OUT_OF_MEMORY}
        finally:
            system.forget()

    @torch.no_grad()
    def _figures(self, system: MeasuredSystem, prompt: Tensor, other: Tensor) -> dict[str, float]:
        device = self._settings.device
        resting = _forget_peak(device)
        unread, opened = self._timed(lambda: system.unread(prompt))
        figures: dict[str, float] = {"unread": unread, "state_bytes": opened.state_bytes}
        figures["decode"] = self._decoding(opened)
        if peak := _peak(device):
            figures["peak_bytes"] = peak - resting
        del opened
        if isinstance(system, SharedLLMMeasured) and system.keeps_trees:
            begin = now(device)
            system.read()
            figures["read"] = now(device) - begin
            figures["tree_bytes"] = system.tree_bytes
            if not system.has_all_trees:
                return figures
            system.write_to_disk()
            figures["from_disk"], _ = self._timed(lambda: system.from_disk(other))
        seconds, opened = self._timed(lambda: system.warm(other))
        if opened is not None:
            figures["warm"] = seconds
        return figures

    def _timed(self, call: Any) -> tuple[float, Opened]:
        begin = now(self._settings.device)
        opened = call()
        return now(self._settings.device) - begin, opened

    def _decoding(self, opened: Opened) -> float:
        """Seconds for one token."""
        begin = now(self._settings.device)
        for _ in range(self._settings.new_tokens):
            opened.decode()
        return (now(self._settings.device) - begin) / self._settings.new_tokens


def _forget_peak(device: str) -> int:
    """What is held now; the peak counts from here."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    with suppress(OSError, AttributeError):  # where there is no such thing, peaks are those since the beginning
        ctypes.CDLL(None).malloc_trim(0)  # what earlier turns freed goes back to the system, or it would hide a peak
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM
    return _of_process("VmRSS")


def _peak(device: str) -> int:
    return int(torch.cuda.max_memory_allocated(device)) if device.startswith("cuda") else _of_process("VmHWM")


def _of_process(name: str) -> int:
    if not Path("/proc/self/status").exists():  # another system than Linux, where peaks stay unknown
        return 0
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SharedLLMError as refused:
        _say({"refused": {"what": refused.what, "limit": refused.limit, "remedy": refused.remedies}})
        sys.exit(str(refused))

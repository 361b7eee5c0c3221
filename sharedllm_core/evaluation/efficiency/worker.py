"""Measures turns in a process of its own, which reads requests on standard input and answers on standard output.

`worker_process.py` starts it. Both ways a message is a line of JSON. The first line from here describes the model; then
each request, a `Step`, is answered by its figures in seconds, or by `error` where the system ran out of memory. The
process ends at once when its standard input ends, so that it does not outlive the one that started it.

On a CPU, peaks are of the process, above what it held before the turn; on a GPU they are of torch's allocator there.
"""

import ctypes
import gc
import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import torch
from torch import Tensor

from ... import DeviceMemoryError, SharedLLMError, SharedLLMForCausalLM
from ...model.lower_model import is_out_of_memory
from ..machine import process_memory
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

__all__ = ["OUT_OF_MEMORY", "main", "measure_turn", "work_of"]

OUT_OF_MEMORY = "out of memory"


def main(arguments: list[str]) -> None:
    """Answer requests for turns.

    Args:
        arguments: the settings as JSON, and a folder for trees on disk.
    """
    requests: Queue[dict[str, Any]] = Queue()
    folder = Path(arguments[1])
    Thread(target=_read_requests, args=(requests, folder), daemon=True).start()
    bench = _Bench(EfficiencySettings.from_dict(json.loads(arguments[0])), folder)
    _send(bench.description())
    while True:
        _send(bench.measure(**requests.get()))


def _read_requests(requests: "Queue[dict[str, Any]]", folder: Path) -> None:
    for line in sys.stdin:
        requests.put(json.loads(line))
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # whoever asked is gone or has all; a turn may be running


class _Bench:
    """The model, and the systems at the length of the newest request.

    Args:
        settings: what is measured.
        folder: for trees on disk.
    """

    def __init__(self, settings: EfficiencySettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._model = load_measured(settings)
        self._prompt_tokens = settings.prompt_tokens * (settings.repeats + 1)
        self._ids = text_ids(settings, self._model, max(settings.lengths) + self._prompt_tokens)
        self._rates = measure_rates(settings.device, self._model.dtype, folder)
        self._length = 0
        self._systems: dict[str, MeasuredSystem] = {}
        chunk = self._ids[: self._model.method.chunk_tokens]
        _warm_up(make_systems(self._model, settings, chunk, folder), self._ids[: settings.prompt_tokens])

    def description(self) -> dict[str, Any]:
        """What holds for all turns: the model, and the floors by length and system."""
        return {
            "own_injection_layers": self._model.method.injection_layers,
            "weight_bytes": sum(weight.nbytes for weight in self._model.parameters()),
            "dtype": str(self._model.dtype).removeprefix("torch."),
            "floors": {length: self._floors(length) for length in self._settings.lengths},
        }

    def measure(self, past_tokens: int, system: str, number: int) -> dict[str, Any]:
        """One turn; arguments as `Step` has."""
        if past_tokens != self._length:
            self._systems.clear()  # before those of another length, which need the memory
            self._rates = measure_rates(self._settings.device, self._model.dtype, self._folder)
            made = make_systems(self._model, self._settings, self._ids[:past_tokens], self._folder)
            self._systems.update((each.name, each) for each in made)
            self._length = past_tokens
        prompts = self._ids[past_tokens : past_tokens + self._prompt_tokens].split(self._settings.prompt_tokens)
        turn = measure_turn(self._systems[system], self._settings, prompts[number], prompts[number + 1])
        return {"floors": self._floors(past_tokens)[system], "rates": asdict(self._rates), **turn}

    def _floors(self, length: int) -> dict[str, dict[str, float]]:
        work = work_of(self._model, self._settings, length)
        return {name: floors_of(figures, self._rates) for name, figures in work.items()}


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


def measure_turn(system: MeasuredSystem, settings: EfficiencySettings, prompt: Tensor, other: Tensor) -> dict[str, Any]:
    """One turn of one system.

    Args:
        system: forgets its past context afterwards.
        settings: of the run.
        prompt: ids [n] of the first question.
        other: ids [n] of the question after that.

    Returns:
        `figures`, in seconds or bytes; or `error`, if the system ran out of memory.
    """
    try:
        return {"figures": _figures(system, settings, prompt, other)}
    except (DeviceMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        return {"error": OUT_OF_MEMORY}
    finally:
        system.forget()


@torch.no_grad()
def _figures(system: MeasuredSystem, settings: EfficiencySettings, prompt: Tensor, other: Tensor) -> dict[str, float]:
    device = settings.device
    resting = _forget_peak(device)
    unread, opened = _timed(lambda: system.unread(prompt), device)
    figures: dict[str, float] = {"unread": unread, "state_bytes": opened.state_bytes}
    figures["decode"] = _decoding(opened, settings)
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
        figures["from_disk"], _ = _timed(lambda: system.from_disk(other), device)
    seconds, opened = _timed(lambda: system.warm(other), device)
    if opened is not None:
        figures["warm"] = seconds
    return figures


def _timed(call: Any, device: str) -> tuple[float, Opened]:
    begin = now(device)
    opened = call()
    return now(device) - begin, opened


def _decoding(opened: Opened, settings: EfficiencySettings) -> float:
    """Seconds for one token."""
    begin = now(settings.device)
    for _ in range(settings.new_tokens):
        opened.decode()
    return (now(settings.device) - begin) / settings.new_tokens


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
    return process_memory("VmRSS")


def _peak(device: str) -> int:
    return int(torch.cuda.max_memory_allocated(device)) if device.startswith("cuda") else process_memory("VmHWM")


def _send(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SharedLLMError as refused:
        _send({"refused": {"what": refused.what, "limit": refused.limit, "remedy": refused.remedies}})
        sys.exit(str(refused))

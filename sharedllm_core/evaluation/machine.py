"""What figures were measured on, and the memory of processes."""

import os
import platform
from pathlib import Path
from typing import Any

import torch
import transformers

__all__ = ["machine", "process_memory"]


def machine(device: str = "cpu") -> dict[str, Any]:
    """Processor, cores, device and the versions of the libraries."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line.split(":")[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def process_memory(name: str, process: int | str = "self") -> int:
    """Return bytes of a process's memory, as Linux counts them; 0 on another operating system.

    Args:
        name: `"VmRSS"` for what it holds now, `"VmHWM"` for the peak.
        process: its id; by default this one.
    """
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return 0
    lines = status.read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)

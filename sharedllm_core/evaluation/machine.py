"""What figures were measured on."""

import os
import platform
from pathlib import Path
from typing import Any

import torch
import transformers

__all__ = ["machine"]


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

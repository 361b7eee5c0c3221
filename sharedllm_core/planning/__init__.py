"""What SharedLLM costs on a machine, beside full attention and a hosted model: memory, time and money. Pure arithmetic.

    shape, _ = read_model("llama-3.1-8b")
    plan(shape, SharedLLMConfig.instruction(shape.layers), Machine.named("h100"), 128_000, questions_per_day=200)

Everything is computed from published numbers and stated assumptions; nothing is measured.
"""

from .machines import MACHINES, Machine
from .models import MODELS, read_model
from .planner import plan
from .results import HostedPrices, Plan
from .shapes import ModelShape, bytes_of_dtype

__all__ = [
    "MACHINES",
    "MODELS",
    "HostedPrices",
    "Machine",
    "ModelShape",
    "Plan",
    "bytes_of_dtype",
    "plan",
    "read_model",
]

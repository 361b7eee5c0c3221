"""SharedLLM: a short-context language model that reads whole document sets, by multi-scale self-injection.

from sharedllm_core import SharedLLMConfig, SharedLLMForCausalLM

model = SharedLLMForCausalLM.from_base("path-or-hub-id", SharedLLMConfig(injection_layers=4))
past = model.encode_past_context(chunks, query_ids)
ids = model.generate(input_ids, past_context=past, max_new_tokens=64)
"""

from .config import SharedLLMConfig
from .errors import (
    CheckpointError,
    ConfigError,
    DeviceMemoryError,
    InputError,
    PastContextError,
    SharedLLMError,
    TokenIdError,
    UnsupportedBaseError,
    WindowError,
)
from .model_config import SharedLLMModelConfig
from .modeling import SharedLLMForCausalLM
from .node_states import NodeStates
from .past_context import PastContext, PastContextBatch

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DeviceMemoryError",
    "InputError",
    "NodeStates",
    "PastContext",
    "PastContextBatch",
    "PastContextError",
    "SharedLLMConfig",
    "SharedLLMError",
    "SharedLLMForCausalLM",
    "SharedLLMModelConfig",
    "TokenIdError",
    "UnsupportedBaseError",
    "WindowError",
    "__version__",
]

__version__ = "0.1.0"

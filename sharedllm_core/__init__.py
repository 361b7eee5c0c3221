"""SharedLLM: a short-context language model that reads whole document sets, by multi-scale self-injection.

from sharedllm_core import SharedLLMEngine

engine = SharedLLMEngine.from_pretrained("path-or-hub-id")
library = engine.read(["handbook/", "contract.pdf"])
answer = engine.ask("What is the notice period?", library)
answer.text, answer.evidence

Below the engine, ids in and ids out, is `SharedLLMForCausalLM`.
"""

from .answer import Answer, Evidence, Usage
from .answer_settings import AnswerOptions, AnswerSettings
from .answer_stream import AnswerStream, AsyncAnswerStream
from .config import SharedLLMConfig
from .constraint import Constraint
from .documents import Document
from .engine import SharedLLMEngine
from .errors import (
    CacheWarning,
    CheckpointError,
    ConfigError,
    DeviceMemoryError,
    DocumentError,
    InputError,
    PastContextError,
    SharedLLMError,
    TokenIdError,
    TokenizerError,
    UnsupportedBaseError,
    UntrainedInjectionError,
    WindowError,
)
from .library import Library
from .model_config import SharedLLMModelConfig
from .modeling import SharedLLMForCausalLM
from .node_states import NodeStates
from .past_context import PastContext, PastContextBatch
from .tools import ToolCall
from .tree_cache import TreeCache
from .version import __version__

__all__ = [
    "Answer",
    "AnswerOptions",
    "AnswerSettings",
    "AnswerStream",
    "AsyncAnswerStream",
    "CacheWarning",
    "CheckpointError",
    "ConfigError",
    "Constraint",
    "DeviceMemoryError",
    "Document",
    "DocumentError",
    "Evidence",
    "InputError",
    "Library",
    "NodeStates",
    "PastContext",
    "PastContextBatch",
    "PastContextError",
    "SharedLLMConfig",
    "SharedLLMEngine",
    "SharedLLMError",
    "SharedLLMForCausalLM",
    "SharedLLMModelConfig",
    "TokenIdError",
    "TokenizerError",
    "ToolCall",
    "TreeCache",
    "UnsupportedBaseError",
    "UntrainedInjectionError",
    "Usage",
    "WindowError",
    "__version__",
]

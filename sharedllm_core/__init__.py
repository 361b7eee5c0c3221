"""SharedLLM: a short-context language model that reads whole document sets, by multi-scale self-injection.

from sharedllm_core import SharedLLMEngine

engine = SharedLLMEngine.from_pretrained("path-or-hub-id")
library = engine.read(["handbook/", "contract.pdf"])
answer = engine.ask("What is the notice period?", library)
answer.text, answer.evidence

Below the engine, ids in and ids out, is `SharedLLMForCausalLM`.
"""

from .engine.engine import SharedLLMEngine
from .engine.streaming import AnswerStream, AsyncAnswerStream
from .errors import (
    CacheWarning,
    CheckpointError,
    ConfigError,
    CutOffWarning,
    DefaultModelWarning,
    DeviceMemoryError,
    DocumentError,
    InputError,
    PastContextError,
    SchemaWarning,
    SharedLLMError,
    TokenIdError,
    TokenizerError,
    UnsupportedBaseError,
    UntrainedInjectionError,
    WindowError,
)
from .generation.answer import Answer, Evidence, Reading, ThoughtPiece, Usage
from .generation.constraints.constraint import Constraint
from .generation.prompting import PromptSize
from .generation.sampling_settings import SamplingSettings
from .generation.settings import AnswerOptions, AnswerSettings
from .generation.tools import ToolCall
from .method.config import SharedLLMConfig
from .model.configuration import SharedLLMModelConfig
from .model.modeling import SharedLLMForCausalLM
from .model.node_states import NodeStates
from .model.past_context import PastContext, PastContextBatch
from .text.documents import Document
from .text.library import Library
from .text.passages import Passage
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
    "CutOffWarning",
    "DefaultModelWarning",
    "DeviceMemoryError",
    "Document",
    "DocumentError",
    "Evidence",
    "InputError",
    "Library",
    "NodeStates",
    "Passage",
    "PastContext",
    "PastContextBatch",
    "PastContextError",
    "PromptSize",
    "Reading",
    "SamplingSettings",
    "SchemaWarning",
    "SharedLLMConfig",
    "SharedLLMEngine",
    "SharedLLMError",
    "SharedLLMForCausalLM",
    "SharedLLMModelConfig",
    "ThoughtPiece",
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

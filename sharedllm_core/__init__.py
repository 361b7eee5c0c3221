"""SharedLLM: a short-context language model that reads whole document sets, by multi-scale self-injection.

from sharedllm_core import SharedLLMEngine

engine = SharedLLMEngine.from_pretrained("path-or-hub-id")
library = engine.read(["handbook/", "contract.pdf"])
answer = engine.ask("What is the notice period?", library)
answer.text, answer.evidence

Below the engine, ids in and ids out, is `SharedLLMForCausalLM`.

A public name is imported when it is first used: torch and transformers take seconds, and the command line's help and
the handling of errors need neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from .version import __version__

if TYPE_CHECKING:
    from .engine.engine import SharedLLMEngine
    from .engine.streaming import AnswerStream, AsyncAnswerStream
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

#: The module of each name that is imported at first use; the same as for type checkers above.
_MODULES = {
    "Answer": "generation.answer",
    "AnswerOptions": "generation.settings",
    "AnswerSettings": "generation.settings",
    "AnswerStream": "engine.streaming",
    "AsyncAnswerStream": "engine.streaming",
    "Constraint": "generation.constraints.constraint",
    "Document": "text.documents",
    "Evidence": "generation.answer",
    "Library": "text.library",
    "NodeStates": "model.node_states",
    "Passage": "text.passages",
    "PastContext": "model.past_context",
    "PastContextBatch": "model.past_context",
    "PromptSize": "generation.prompting",
    "Reading": "generation.answer",
    "SamplingSettings": "generation.sampling_settings",
    "SharedLLMConfig": "method.config",
    "SharedLLMEngine": "engine.engine",
    "SharedLLMForCausalLM": "model.modeling",
    "SharedLLMModelConfig": "model.configuration",
    "ThoughtPiece": "generation.answer",
    "ToolCall": "generation.tools",
    "TreeCache": "tree_cache",
    "Usage": "generation.answer",
}

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


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

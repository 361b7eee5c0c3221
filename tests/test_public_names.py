"""The public names stay, are documented, and are all there is."""

import inspect

import sharedllm_core

NAMES = {
    "Answer",
    "AnswerOptions",
    "AnswerSettings",
    "AnswerStream",
    "AsyncAnswerStream",
    "CacheWarning",
    "CheckpointError",
    "Constraint",
    "ConfigError",
    "CutOffWarning",
    "DefaultModelWarning",
    "DeviceMemoryError",
    "Document",
    "DocumentError",
    "Evidence",
    "InputError",
    "Library",
    "NodeStates",
    "PastContext",
    "PastContextBatch",
    "Passage",
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
}


def test_public_names():
    assert set(sharedllm_core.__all__) == NAMES
    assert all(hasattr(sharedllm_core, name) for name in NAMES)


def test_public_classes_and_their_methods_are_documented_and_typed():
    for name in NAMES - {"__version__"}:
        kind = getattr(sharedllm_core, name)
        assert kind.__doc__, name
        for method, function in vars(kind).items():
            function = getattr(function, "__func__", function)  # noqa: PLW2901
            if inspect.isfunction(function) and not method.startswith("_"):
                assert function.__doc__, f"{name}.{method}"
                signature = inspect.signature(function)
                assert signature.return_annotation is not signature.empty, f"{name}.{method}"

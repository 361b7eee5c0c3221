"""Models that a plan is made for: published shapes by name, and checkpoints by folder."""

from pathlib import Path

from ..errors import CheckpointError, ConfigError
from ..method.config import SharedLLMConfig
from .shapes import ModelShape, read_json

__all__ = ["MODELS", "read_model"]

#: Published sizes, in bfloat16.
MODELS = {
    "llama-3.1-8b": ModelShape(
        layers=32,
        hidden=4096,
        intermediate=14336,
        heads=32,
        kv_heads=8,
        head_size=128,
        vocabulary=128256,
        window_tokens=131072,
    ),
    "llama-3.1-70b": ModelShape(
        layers=80,
        hidden=8192,
        intermediate=28672,
        heads=64,
        kv_heads=8,
        head_size=128,
        vocabulary=128256,
        window_tokens=131072,
    ),
    "qwen3-0.6b": ModelShape(
        layers=28,
        hidden=1024,
        intermediate=3072,
        heads=16,
        kv_heads=8,
        head_size=128,
        vocabulary=151936,
        window_tokens=40960,
        tied=True,
        query_key_norms=True,
    ),
    "qwen3-8b": ModelShape(
        layers=36,
        hidden=4096,
        intermediate=12288,
        heads=32,
        kv_heads=8,
        head_size=128,
        vocabulary=151936,
        window_tokens=40960,
        query_key_norms=True,
    ),
    # The third version; the first one's vocabulary is 32,000 and it slides a window of 4,096.
    "mistral-7b": ModelShape(
        layers=32,
        hidden=4096,
        intermediate=14336,
        heads=32,
        kv_heads=8,
        head_size=128,
        vocabulary=32768,
        window_tokens=32768,
    ),
}


def read_model(name: str | Path) -> tuple[ModelShape, SharedLLMConfig | None]:
    """The shape of a model, and the numbers of the method where a sharedllm checkpoint says them.

    Args:
        name: one of `MODELS`, or a checkpoint's folder.

    Raises:
        ConfigError: neither a known name nor a folder.
        CheckpointError: the folder has no readable `config.json`, or it is incomplete.
        UnsupportedBaseError: the base model's family is not supported.
    """
    if name in MODELS:
        return MODELS[str(name)], None
    if not Path(name).exists():
        raise ConfigError(
            f"model={str(name)!r} is neither known nor a folder; "
            f"use one of {', '.join(MODELS)}, or a checkpoint's folder with a config.json"
        )
    values = read_json(Path(name))
    shape = ModelShape.from_config(name)
    if values.get("model_type") != "sharedllm":
        return shape, None
    method = values.get("method")
    if not isinstance(method, dict):
        raise CheckpointError(f"{Path(name) / 'config.json'} says nothing of 'method'; copy the checkpoint again")
    return shape, SharedLLMConfig.from_dict(method)

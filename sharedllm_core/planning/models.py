"""Models that a plan is made for: published shapes by name, and checkpoints by folder."""

from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ConfigError, setting
from ..method.config import SharedLLMConfig
from .shapes import COPY_AGAIN, ModelShape, read_json

__all__ = ["MODELS", "read_model"]

_COLUMNS = ("layers", "hidden", "intermediate", "heads", "kv_heads", "head_size", "vocabulary", "window_tokens")
_ROWS: dict[str, tuple[int, ...]] = {
    "llama-3.1-8b": (32, 4096, 14336, 32, 8, 128, 128256, 131072),
    "llama-3.1-70b": (80, 8192, 28672, 64, 8, 128, 128256, 131072),
    "qwen3-0.6b": (28, 1024, 3072, 16, 8, 128, 151936, 40960),
    "qwen3-8b": (36, 4096, 12288, 32, 8, 128, 151936, 40960),
    # The third version; the first one's vocabulary is 32,000 and it slides a window of 4,096.
    "mistral-7b": (32, 4096, 14336, 32, 8, 128, 32768, 32768),
}
_TIED = {"qwen3-0.6b"}


def _published(name: str, sizes: tuple[int, ...]) -> ModelShape:
    columns: dict[str, Any] = dict(zip(_COLUMNS, sizes, strict=True))
    return ModelShape(**columns, tied=name in _TIED, query_key_norms=name.startswith("qwen3"))


#: Published sizes by name, in bfloat16.
MODELS = {name: _published(name, sizes) for name, sizes in _ROWS.items()}


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
            f"{setting('model', str(name))} is neither known nor a folder",
            remedy=f"use one of {', '.join(MODELS)}, or a checkpoint's folder with a config.json",
        )
    values = read_json(Path(name))
    shape = ModelShape.from_config(name)
    if values.get("model_type") != "sharedllm":
        return shape, None
    method = values.get("method")
    if not isinstance(method, dict):
        raise CheckpointError(f"{Path(name) / 'config.json'} says nothing of 'method'", remedy=COPY_AGAIN)
    return shape, SharedLLMConfig.from_dict(method)

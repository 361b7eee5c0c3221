"""What a model is, and how an engine with it reads documents."""

from pathlib import Path

from transformers import PreTrainedModel

from ..errors import ConfigError, setting
from ..generation.answer import ReadingMode
from ..method.checks import check_one_of
from ..method.config import SharedLLMConfig
from ..model.base_families import INJECTED_LAYERS
from ..model.modeling import SharedLLMForCausalLM
from .model_names import short_name

__all__ = ["PLAIN_METHOD", "is_trained", "model_name", "reading_mode"]

#: For models without injection: only the size of chunks is used, and by the evaluation trees with leaves of 32 tokens.
PLAIN_METHOD = SharedLLMConfig(
    injection_layers=1, chunk_tokens=1024, tree_depth=5, policy="search", scope="past", min_node_tokens=32
)


def model_name(model: PreTrainedModel) -> str:
    """Return the name of a model: its hub id, the name of its folder, a short name, or else its family."""
    location = str(model.name_or_path)
    if short := short_name(location):
        return short
    return (Path(location).name if Path(location).is_dir() else location) or str(model.config.model_type)


def is_trained(model: PreTrainedModel) -> bool:
    """Whether a model has an injection that was trained."""
    return isinstance(model, SharedLLMForCausalLM) and model.has_trained_injection


def reading_mode(model: PreTrainedModel, reading: ReadingMode | None, allow_untrained: bool) -> ReadingMode:
    """How to read documents with a model.

    Args:
        model: with an injection or without.
        reading: what the user wants; `None` for what the model can do: with a trained injection, inject, and quote as
            well if its method says so (`quote_tokens`); otherwise quote.
        allow_untrained: inject with an untrained injection.

    Raises:
        ConfigError: the model has no injection, and `reading` needs one.
    """
    has_injection = isinstance(model, SharedLLMForCausalLM)
    if reading is None:
        if not (has_injection and (allow_untrained or is_trained(model))):
            return "quoted"
        return "both" if model.method.quote_tokens else "injected"
    check_one_of("reading", reading, ("quoted", "injected", "both"))
    if reading != "quoted" and not has_injection:
        raise ConfigError(
            f"{setting('reading', reading)} needs a model with an injection",
            limit=f"and this is a plain {model.config.model_type!r} model",
            remedy=[f"use {setting('reading', 'quoted')}", _injection_remedy(model.config.model_type)],
        )
    return reading


def _injection_remedy(model_type: str) -> str:
    """How to get an injection: a family that is not supported cannot be trained."""
    if model_type in INJECTED_LAYERS:
        return "train an injection with `sharedllm train`"
    return f"train an injection on a model of another family ({', '.join(INJECTED_LAYERS)})"

"""Check by its configuration that a model is a causal language model."""

from pathlib import Path

from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    PreTrainedConfig,
)

from ..errors import CheckpointError

__all__ = ["check_causal"]


def check_causal(config: PreTrainedConfig, name: str | Path) -> None:
    """Check that a configuration is of a causal language model of transformers.

    Encoders such as BERT have a causal class in transformers as well, which their configuration chooses with
    `is_decoder`; without it, their weights were trained to read in both directions.

    Args:
        config: the model's configuration.
        name: of the model, for the message.

    Raises:
        CheckpointError: an encoder-decoder, an encoder, or a model of another kind.
    """
    kind = type(config)
    if getattr(config, "is_encoder_decoder", False):
        family = "an encoder-decoder"
    elif kind in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False):
        family = "an encoder"
    elif kind not in MODEL_FOR_CAUSAL_LM_MAPPING:
        family = "a model"
    else:
        return
    raise CheckpointError(
        f"{name} is {family} of type {config.model_type!r}",
        limit="and is no causal language model",
        remedy="give a model that transformers loads with AutoModelForCausalLM",
    )

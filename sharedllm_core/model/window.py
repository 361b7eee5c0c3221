"""The window of a causal language model: the most tokens of running text."""

from typing import Any

__all__ = ["window_tokens"]

_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length")
_DEFAULT = 2048


def window_tokens(config: Any, tokenizer: Any) -> int:
    """The most tokens of running text that a model was made for.

    Args:
        config: the model's configuration.
        tokenizer: names a length where the configuration does not.
    """
    text_config = config.get_text_config()
    found = next((value for name in _NAMES if (value := getattr(text_config, name, None))), None)
    if found is None and tokenizer is not None and tokenizer.model_max_length < 10**9:
        found = tokenizer.model_max_length
    return int(found or _DEFAULT)

"""The window of any causal language model of transformers, in tokens."""

from typing import Any

__all__ = ["window_tokens"]

#: Where families of transformers keep the number of positions; GPT-2, Bloom and MPT have names of their own.
_NAMES = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "seq_length",
    "max_sequence_length",
    "max_seq_length",
    "model_max_length",
)
_FALLBACK_TOKENS = 2_048
_UNLIMITED = 10**9  # tokenizers without a limit of their own have 10**30


def window_tokens(config: Any, tokenizer: Any = None) -> int:
    """Return the most tokens of running text that a model was made for.

    Args:
        config: of any causal language model; of a multimodal one, its text configuration is used.
        tokenizer: of transformers; its `model_max_length` is used where the configuration has no limit, as of
            state-space models.
    """
    text_config = config.get_text_config(decoder=True)
    values = [getattr(text_config, name, None) for name in _NAMES]
    values.append(getattr(tokenizer, "model_max_length", None))
    return next((int(value) for value in values if value is not None and _is_limit(value)), _FALLBACK_TOKENS)


def _is_limit(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _UNLIMITED

"""Which models ignore the padding of shorter rows."""

from transformers import PreTrainedModel

__all__ = ["supports_padding"]

#: Families whose layers run over padding as over text, whatever the attention mask.
_WITHOUT_PADDING = frozenset({"cpmant", "recurrent_gemma", "rwkv", "xlstm"})


def supports_padding(model: PreTrainedModel) -> bool:
    """Whether prompts of different lengths can be generated together: the model ignores the padding of the shorter."""
    return model.config.model_type not in _WITHOUT_PADDING

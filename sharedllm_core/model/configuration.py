"""`SharedLLMModelConfig`: a base model's configuration plus the method's, in transformers' format."""

from typing import Any

from transformers import AutoConfig, LlamaConfig, PreTrainedConfig

from ..errors import ConfigError
from ..method.config import SharedLLMConfig

__all__ = ["SharedLLMModelConfig"]

# transformers reads these from the top-level configuration, not from `text_config`. Without the mirrored
# `tie_word_embeddings`, the weights of a tied base model would silently be untied.
_MIRRORED = (
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "vocab_size",
    "max_position_embeddings",
)


class SharedLLMModelConfig(PreTrainedConfig):
    """Model configuration of a `SharedLLMForCausalLM`, as transformers stores it in `config.json`.

    It holds a base model's configuration plus the configuration of the method, a `SharedLLMConfig`, as `method`; to add
    an injection to a base model, pass that `SharedLLMConfig`, not this one, to `SharedLLMForCausalLM.from_base`.

    Args:
        text_config: the base model's configuration, or its dictionary.
        method: the method's configuration, or its dictionary.
        base: folder or hub id of the base model that the injection was added to, if known.
        base_revision: the hub revision of `base`, if one was requested.
    """

    model_type = "sharedllm"
    sub_configs = {"text_config": AutoConfig}
    text_config: PreTrainedConfig
    method: SharedLLMConfig
    base: str | None
    base_revision: str | None

    def __init__(
        self,
        text_config: PreTrainedConfig | dict[str, Any] | None = None,
        method: SharedLLMConfig | dict[str, Any] | None = None,
        base: str | None = None,
        base_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        base_config: Any = text_config or LlamaConfig()
        if isinstance(base_config, dict):
            base_config = AutoConfig.for_model(**base_config)
        if method is None:
            method = SharedLLMConfig.instruction(base_config.num_hidden_layers)
        elif isinstance(method, dict):
            method = SharedLLMConfig.from_dict(method)
        self.text_config = base_config
        self.method = method
        self.base = base
        self.base_revision = base_revision
        kwargs.setdefault("dtype", getattr(base_config, "dtype", None))
        super().__init__(**{name: getattr(base_config, name, None) for name in _MIRRORED} | kwargs)

    @property
    def method_is_frozen(self) -> bool:
        """Whether assigning `method` raises an error."""
        return bool(self.__dict__.get("_method_is_frozen"))

    def freeze_method(self, frozen: bool) -> None:
        """Make later assignments of `method` an error, as an engine requires, or allow them again."""
        self._method_is_frozen = frozen

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "method" and self.method_is_frozen:
            raise ConfigError(
                "the method of a model that belongs to an engine is fixed, since trees and questions depend on it",
                remedy="use engine.with_policy(…): an engine with another policy that shares the model",
            )
        super().__setattr__(name, value)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = super().to_dict() | {"method": self.method.to_dict()}
        values.pop("_method_is_frozen", None)
        return values


AutoConfig.register(SharedLLMModelConfig.model_type, SharedLLMModelConfig)

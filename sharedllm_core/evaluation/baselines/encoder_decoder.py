"""An encoder-decoder in the manner of CEPE: the scale's other end, with the most layers and no compression."""

from ... import ConfigError, SharedLLMEngine
from ...errors import setting
from .shared_llm import SharedLLM

__all__ = ["EncoderDecoder"]


class EncoderDecoder(SharedLLM):
    """All layers encode whole chunks, nothing is compressed, and all layers are injected.

    CEPE's encoder is a small model of its own; here, as in all that is compared, both sides are the same base weights.

    Args:
        engine: with a checkpoint of `SharedLLMConfig.encoder_decoder`, trained as long as what it stands beside.
        options: those of `SharedLLM`.

    Raises:
        ConfigError: the engine's model is of another form.
    """

    name = "encoder-decoder"

    def __init__(self, engine: SharedLLMEngine, **options: int) -> None:
        method = engine.model.method
        num_layers = engine.model.config.get_text_config().num_hidden_layers
        form = (method.injection_layers, method.tree_depth, method.compression_ratio)
        if form != (num_layers, 0, 1):
            raise ConfigError(
                f"the model has {setting('injection_layers', form[0])}, {setting('tree_depth', form[1])}, "
                f"{setting('compression_ratio', form[2])} and is no encoder-decoder",
                limit=f"which has {num_layers}, 0 and 1",
                remedy=f"train one with SharedLLMConfig.encoder_decoder({num_layers})",
            )
        super().__init__(engine, **options)

"""Full attention over everything, beyond the window that the base was trained for: plain, or with RoPE scaled."""

from typing import Any, Literal

from ... import InputError, SharedLLMEngine
from ...errors import setting
from ...method.checks import check_one_of
from .base_model import base_model, check_plain_rope, set_rope
from .reading import BlockwiseSystem, TextReader, window_of

__all__ = ["FullAttention", "Scaling"]

#: `dynamic`: NTK by the text's length; `yarn`: YaRN.
Scaling = Literal["dynamic", "yarn"]

_NAMES = {
    None: "full attention",
    "dynamic": "full attention, dynamic NTK",
    "yarn": "full attention, YaRN",
}


class FullAttention(BlockwiseSystem):
    """All documents as running text; positions go on beyond the window.

    A scaled RoPE is transformers' own, its scale s the tokens of text and answer together over the base's window, at
    least 1: YaRN's `factor` is s. Dynamic NTK makes the base of the frequencies b · s^(D/(D−2)), as the YaRN paper
    defines it, which is transformers' `dynamic` at that length with a `factor` of 1.

    Args:
        engine: whose base model is used, with plain RoPE if it is to be scaled.
        scaling: `None`, `"dynamic"` or `"yarn"`.
        factor: transformers' `factor`, if it is to be another one.
        block_tokens: the most tokens to read at once.

    Raises:
        UnsupportedBaseError: the base's RoPE is scaled already.
    """

    def __init__(
        self,
        engine: SharedLLMEngine,
        *,
        scaling: Scaling | None = None,
        factor: float | None = None,
        block_tokens: int = 2048,
    ) -> None:
        super().__init__(engine, block_tokens=block_tokens)
        check_one_of("scaling", scaling, _NAMES, error=InputError)
        if factor is not None and (scaling is None or factor < 1):
            raise InputError(
                f"{setting('factor', factor)} with {setting('scaling', scaling)} is not allowed",
                remedy="give a scaling and at least 1",
            )
        if scaling is not None:
            check_plain_rope(engine.model, scaling)
        self.name = _NAMES[scaling]
        self.scaling = scaling
        self.factor = factor
        self.base = base_model(engine.model)

    def _reader(self, length: int) -> TextReader:
        if self.scaling is not None:
            set_rope(self.base, self.rope_parameters(length), length)
        return TextReader(self.base, self.block_tokens)

    def rope_parameters(self, length: int) -> dict[str, Any]:
        """transformers' `rope_parameters` for a text of `length` tokens, beside the base's own."""
        if self.scaling is None:
            return {}
        window = window_of(self.engine)
        if self.scaling == "dynamic":
            return {"rope_type": "dynamic", "factor": self.factor or 1.0}
        factor = self.factor or max(1.0, length / window)
        return {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": window}

    def _reads_alike(self, length: int) -> object:
        # Frequencies depend on the length, and cached keys on them.
        return None if self.scaling is None else max(length, window_of(self.engine))

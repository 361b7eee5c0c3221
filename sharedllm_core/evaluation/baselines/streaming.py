"""Attention sinks with a sliding window: StreamingLLM (arXiv 2309.17453).

Each token sees the first tokens of the text, the sinks, and the newest ones, together no more than a window. Positions
are those in this rolling cache: sinks 0, 1, …, then the newest. Keys and values stay as they were computed when their
token was read.

Positions count only by differences. Between newest tokens these are the same in the cache as in the text, so keys are
rotated by their place in the text, once. To the sinks the distance stays what it was when the cache became full: for
them queries are turned back by the tokens that have left. So a block is read at once, and every token in it
sees exactly what it would see if tokens were read one by one.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, DynamicCache

from ... import InputError, SharedLLMEngine, SharedLLMForCausalLM, UnsupportedBaseError
from ...errors import setting
from ...model.base_families import sliding_window
from ...model.rotary import angles, rotate
from .base_model import base_model
from .reading import BlockwiseSystem, TextReader, window_of

__all__ = ["Streaming", "stream_reader"]

# Suffixes: B batch, H heads, K key/value heads, T tokens of a block, S states, D head size.

_ATTENTION = "sharedllm_sinks"


class _Sight(NamedTuple):
    """What the tokens of a block see.

    Attributes:
        seen: [T, S], which states each token sees, sinks among them.
        sinks: [S], which states are sinks.
        cos, sin: [T, D], the rotation that turns a query back to its place in the cache.
    """

    seen: Tensor
    sinks: Tensor
    cos: Tensor
    sin: Tensor


class Streaming(BlockwiseSystem):
    """All documents as running text, of which each token sees the sinks and the newest.

    Args:
        engine: whose base model is used.
        sink_tokens: how many first tokens stay.
        window_tokens: the most tokens that one sees, itself and the sinks among them; by default the base's window.
        block_tokens: the most tokens to read at once.

    Raises:
        InputError: a window that is no larger than the sinks, or larger than the base's.
        UnsupportedBaseError: the base has a sliding window of its own, smaller than this one.
    """

    name = "streaming"

    def __init__(
        self,
        engine: SharedLLMEngine,
        *,
        sink_tokens: int = 4,
        window_tokens: int | None = None,
        block_tokens: int = 512,
    ) -> None:
        super().__init__(engine, block_tokens=block_tokens)
        window = window_of(engine) if window_tokens is None else window_tokens
        if sink_tokens < 0 or not sink_tokens < window <= window_of(engine):
            raise InputError(
                f"{setting('sink_tokens', sink_tokens)} and {setting('window_tokens', window)} are not allowed",
                remedy="the window must be larger than the sinks and no larger than the base model's, "
                f"{window_of(engine)}",
            )
        config = engine.model.config.get_text_config()
        own = [sliding_window(config, layer) for layer in range(config.num_hidden_layers)]
        if any(tokens is not None and tokens < window for tokens in own):
            raise UnsupportedBaseError(
                "the base model has layers with a sliding window of their own",
                limit=f"smaller than {setting('window_tokens', window)}",
                remedy=["use a base model with full attention", f"a smaller {setting('window_tokens')}"],
            )
        self.sink_tokens = sink_tokens
        self.window_tokens = window
        self.base = base_model(engine.model, _ATTENTION)

    def _reader(self, length: int) -> TextReader:
        return _StreamReader(self.base, self.block_tokens, self.sink_tokens, self.window_tokens)


def stream_reader(
    model: SharedLLMForCausalLM, *, window_tokens: int, sink_tokens: int = 4, block_tokens: int = 512
) -> TextReader:
    """A reader of the base model of `model`, with sinks; arguments as `Streaming` has, not checked again."""
    return _StreamReader(base_model(model, _ATTENTION), block_tokens, sink_tokens, window_tokens)


class _StreamReader(TextReader):
    """Reads a stream; its cache holds the sinks and what the next token sees of the newest."""

    def __init__(self, model: Any, block_tokens: int, sink_tokens: int, window_tokens: int) -> None:
        super().__init__(model, block_tokens)
        self._sinks = sink_tokens
        self._newest = window_tokens - sink_tokens
        self._window = window_tokens
        self._held = torch.zeros(0, dtype=torch.long, device=self.device)  # places in the text of cached states
        self._num_read = 0

    def _read_block(self, ids: Tensor, num_logits: int) -> Tensor:
        places_T = torch.arange(self._num_read, self._num_read + len(ids), device=self.device)
        places_S = torch.cat((self._held, places_T))
        self._inputs = {"position_ids": places_T[None], "sight": self._sight(places_T, places_S)}
        logits = super()._read_block(ids, num_logits)
        self._num_read += len(ids)
        kept = ((places_S < self._sinks) | (places_S > self._num_read - self._newest)).nonzero()[:, 0]
        for layer in self.cache.layers:
            layer.keys, layer.values = layer.keys.index_select(2, kept), layer.values.index_select(2, kept)
        self._held = places_S[kept]
        return logits

    def _sight(self, places_T: Tensor, places_S: Tensor) -> _Sight:
        sinks_S = places_S < self._sinks
        back_TS = places_T[:, None] - places_S
        seen_TS = (back_TS >= 0) & (sinks_S | (back_TS < self._newest))
        left_T = (places_T - (self._window - 1)).clamp(min=0)
        return _Sight(seen_TS, sinks_S, *angles(-left_T, self.model.model.rotary_emb.inv_freq))

    def mark(self) -> Any:
        """See `TextReader`."""
        return self._num_read, self._held, [(layer.keys, layer.values) for layer in self.cache.layers]

    def go_back(self, mark: Any) -> None:
        """See `TextReader`."""
        self._num_read, self._held, states = mark
        self.cache = DynamicCache()
        for number, (keys, values) in enumerate(states):
            self.cache.update(keys, values, number)


def _sink_attention(
    module: nn.Module,  # noqa: ARG001 (called as transformers calls all of its kind)
    query_BHTD: Tensor,
    key_BKSD: Tensor,
    value_BKSD: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001
    scaling: float,
    sight: _Sight,
    **kwargs: Any,  # noqa: ARG001
) -> tuple[Tensor, None]:
    """Attention by `sight`; arguments as transformers' attention functions have, result [B, T, H, D].

    One head of twice the size does both products: its first half meets the newest, its second half the sinks.
    """
    groups = query_BHTD.shape[1] // key_BKSD.shape[1]
    turned = rotate(query_BHTD, sight.cos, sight.sin)
    sinks = sight.sinks[:, None]
    keys = torch.cat((key_BKSD.masked_fill(sinks, 0), key_BKSD.masked_fill(~sinks, 0)), dim=-1)
    mixed_BHTD = scaled_dot_product_attention(
        torch.cat((query_BHTD, turned), dim=-1),
        keys.repeat_interleave(groups, dim=1),
        value_BKSD.repeat_interleave(groups, dim=1),
        attn_mask=sight.seen,
        scale=scaling,
    )
    return mixed_BHTD.transpose(1, 2).contiguous(), None


# transformers' own place for further attention functions. It makes no masks for one that it does not know.
AttentionInterface.register(_ATTENTION, _sink_attention)

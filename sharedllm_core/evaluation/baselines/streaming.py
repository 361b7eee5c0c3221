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
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, DynamicCache

from ... import InputError, SharedLLMEngine, SharedLLMForCausalLM, UnsupportedBaseError
from ...errors import setting
from ...model.base_families import sliding_window
from ...model.rotary import angles, rotate
from .base_model import base_model
from .reading import BlockwiseSystem, TextReader, window_of

__all__ = ["Streaming", "stream_reader"]

# Suffixes: B batch, H heads, K key/value heads, T tokens of a block, S states, N sinks, D head size.

_ATTENTION = "sharedllm_sinks"
_SPARE_TOKENS = 128  # that a cache holds beyond what is seen, at most
_ELEMENTS_OF_A_KERNEL = 8  # by which fused kernels count the size of a head


class _Sight(NamedTuple):
    """What the tokens of a block see.

    Attributes:
        mask: [T, S], 0 for the states that a token sees, sinks among them, and -inf for others. `None` for a single
            token, which sees the sinks and the newest.
        num_sinks: how many of the first states are sinks.
        num_newest: how many of the last states a single token sees.
        rotation: cos and sin, each [T, D], that turn a query back to its place in the cache; `None` if no token of
            the text has left the window of this block.
    """

    mask: Tensor | None
    num_sinks: int
    num_newest: int
    rotation: tuple[Tensor, Tensor] | None


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
    """Reads a stream; its cache holds the sinks and what the next token sees of the newest.

    While single tokens are written, up to `_SPARE_TOKENS` that are no longer seen stay, so that the cache is not copied
    for each.
    """

    def __init__(self, model: Any, block_tokens: int, sink_tokens: int, window_tokens: int) -> None:
        super().__init__(model, block_tokens)
        self._sinks = sink_tokens
        self._newest = window_tokens - sink_tokens
        self._window = window_tokens
        self._num_read = 0

    def _read_block(self, ids: Tensor, num_logits: int) -> Tensor:
        places_T = torch.arange(self._num_read, self._num_read + len(ids), device=self.device)
        held = self.cache.get_seq_length()
        self._inputs = {"position_ids": places_T[None], "sight": self._sight(places_T, held)}
        logits = super()._read_block(ids, num_logits)
        self._num_read += len(ids)
        num_states = held + len(ids)
        if num_states >= self._window and (len(ids) > 1 or num_states >= self._window + _SPARE_TOKENS):
            for layer in self.cache.layers:
                layer.keys, layer.values = self._kept(layer.keys), self._kept(layer.values)
        return logits

    def _kept(self, states_BKSD: Tensor) -> Tensor:
        """The sinks, and the newest that the next token sees."""
        first_newest = states_BKSD.shape[2] - (self._newest - 1)
        return torch.cat((states_BKSD[:, :, : self._sinks], states_BKSD[:, :, first_newest:]), dim=2)

    def _sight(self, places_T: Tensor, held: int) -> _Sight:
        num_new, num_read = len(places_T), self._num_read
        num_sinks = min(self._sinks, num_read + num_new)
        rotation = mask = None
        if num_read + num_new > self._window:
            left_T = (places_T - (self._window - 1)).clamp(min=0)
            rotation = angles(-left_T, self.model.model.rotary_emb.inv_freq)
        if num_new > 1:
            num_states = held + num_new
            places_S = torch.arange(num_read + num_new - num_states, num_read + num_new, device=self.device)
            places_S[:num_sinks] = torch.arange(num_sinks, device=self.device)
            back_TS = places_T[:, None] - places_S
            seen_TS = (back_TS >= 0) & ((places_S < num_sinks) | (back_TS < self._newest))
            mask = torch.zeros_like(seen_TS, dtype=self.model.dtype).masked_fill(~seen_TS, float("-inf"))
        return _Sight(mask, num_sinks, min(held + num_new - num_sinks, self._newest), rotation)

    def mark(self) -> Any:
        """See `TextReader`."""
        return self._num_read, [(layer.keys, layer.values) for layer in self.cache.layers]

    def go_back(self, mark: Any) -> None:
        """See `TextReader`."""
        self._num_read, states = mark
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
    """Attention by `sight`; arguments as transformers' attention functions have, result [B, T, H, D]."""
    if sight.mask is None:
        mixed_BHTD = _attend_one_token(query_BHTD, key_BKSD, value_BKSD, scaling, sight)
    else:
        mixed_BHTD = _attend_block(query_BHTD, key_BKSD, value_BKSD, scaling, sight)
    return mixed_BHTD.transpose(1, 2).contiguous(), None


def _attend_block(query_BHTD: Tensor, key_BKSD: Tensor, value_BKSD: Tensor, scaling: float, sight: _Sight) -> Tensor:
    """One kernel for sinks and newest, though queries are rotated in another way for the sinks.

    The products with the sinks are computed apart and become further elements of the query; the key of each sink is
    one at its own elements and zero elsewhere. Each product has two elements, so that nothing is lost where an element
    has few bits. Values are padded, since fused kernels need heads of one size.
    """
    size = query_BHTD.shape[-1]
    groups = query_BHTD.shape[1] // key_BKSD.shape[1]
    if sight.rotation is not None and sight.num_sinks:
        sinks_BHND = key_BKSD[:, :, : sight.num_sinks].repeat_interleave(groups, dim=1)
        turned = rotate(query_BHTD, *sight.rotation).float()
        products_BHTN = turned @ sinks_BHND.float().transpose(2, 3)
        high = products_BHTN.to(query_BHTD.dtype)
        low = (products_BHTN - high.float()).to(query_BHTD.dtype)
        added = -(-2 * sight.num_sinks // _ELEMENTS_OF_A_KERNEL) * _ELEMENTS_OF_A_KERNEL
        query_BHTD = pad(torch.cat((query_BHTD, high, low), dim=-1), (0, added - 2 * sight.num_sinks))
        key_BKSD, value_BKSD = pad(key_BKSD, (0, added)), pad(value_BKSD, (0, added))
        one = torch.eye(sight.num_sinks, dtype=key_BKSD.dtype, device=key_BKSD.device)
        key_BKSD[:, :, : sight.num_sinks] = pad(torch.cat((one, one), dim=1), (size, added - 2 * sight.num_sinks))
    return scaled_dot_product_attention(
        query_BHTD,
        key_BKSD.repeat_interleave(groups, dim=1),
        value_BKSD.repeat_interleave(groups, dim=1),
        attn_mask=sight.mask,
        scale=scaling,
    )[..., :size]


def _attend_one_token(
    query_BH1D: Tensor, key_BKSD: Tensor, value_BKSD: Tensor, scaling: float, sight: _Sight
) -> Tensor:
    """Keys and values are read where they are, without a mask and without copies for the heads of a group."""
    turned = query_BH1D if sight.rotation is None else rotate(query_BH1D, *sight.rotation)
    by_group = (query_BH1D.shape[0], key_BKSD.shape[1], -1, query_BH1D.shape[-1])  # B, K, H / K, D
    sinks, newest = slice(0, sight.num_sinks), slice(key_BKSD.shape[2] - sight.num_newest, key_BKSD.shape[2])
    to_sinks = turned.reshape(by_group) @ key_BKSD[:, :, sinks].transpose(2, 3)
    to_newest = query_BH1D.reshape(by_group) @ key_BKSD[:, :, newest].transpose(2, 3)
    shares = (torch.cat((to_sinks, to_newest), dim=-1).float() * scaling).softmax(dim=-1).to(value_BKSD.dtype)
    mixed = shares[..., sinks] @ value_BKSD[:, :, sinks] + shares[..., sight.num_sinks :] @ value_BKSD[:, :, newest]
    return mixed.reshape(query_BH1D.shape)


# transformers' own place for further attention functions. It makes no masks for one that it does not know.
AttentionInterface.register(_ATTENTION, _sink_attention)

"""`KeptPrompts`: keys and values of prompts that were read, for later prompts that begin with the same tokens.

Questions of one conversation, steps of an agent, and questions over documents that are quoted as a whole begin alike:
what they have in common is read once.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

__all__ = ["DEFAULT_KEPT_BYTES", "KeptPrompts"]

DEFAULT_KEPT_BYTES = 2**28
_FEWEST_TOKENS = 32  # fewer are read again as quickly


class _Kept(NamedTuple):
    """A prompt: its ids [n], and keys and values [1, K, n, D] of each layer."""

    ids: Tensor
    layers: Sequence[tuple[Tensor, Tensor]]

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for layer in self.layers for part in layer)


class KeptPrompts:
    """The newest prompts, within a budget.

    Args:
        max_bytes: of keys and values; 0 to keep nothing.
    """

    def __init__(self, max_bytes: int = DEFAULT_KEPT_BYTES) -> None:
        self.max_bytes = max_bytes
        self._kept: list[_Kept] = []  # the one used last is the last

    def has_beginning(self, prompt: Tensor, others: Sequence[Tensor]) -> bool:
        """Whether enough of a prompt's first tokens is kept, or would be if one of the others were read before."""
        alike = max((_common(prompt, other) for other in others), default=0)
        return self.max_bytes > 0 and (alike >= _FEWEST_TOKENS or self._best(prompt)[0] > 0)

    def states(self, model: PreTrainedModel, prompt: Tensor) -> tuple[DynamicCache, int]:
        """Return a KV cache with the first tokens of a prompt [n], and how many they are."""
        states = DynamicCache(config=model.config.get_text_config())
        common, kept = self._best(prompt)
        if kept is not None:
            self._kept = [*(one for one in self._kept if one is not kept), kept]
            for number, (keys, values) in enumerate(kept.layers):
                states.update(keys[:, :, :common], values[:, :, :common], number)
        return states, common

    def keep(self, prompt: Tensor, states: DynamicCache) -> None:
        """Keep the keys and values of a prompt [n] that was read alone; a prompt that it continues is dropped."""
        kept = _Kept(prompt, [(layer.keys, layer.values) for layer in states.layers])
        if kept.nbytes > self.max_bytes:
            return
        self._kept = [one for one in self._kept if _common(one.ids, prompt) < len(one.ids)]
        self._kept.append(kept)
        while sum(one.nbytes for one in self._kept) > self.max_bytes:
            del self._kept[0]

    def _best(self, prompt: Tensor) -> tuple[int, _Kept | None]:
        """The longest beginning that is kept; the last token of a prompt is always read."""
        found = ((min(_common(one.ids, prompt), len(prompt) - 1), one) for one in self._kept)
        common, kept = max(found, key=lambda pair: pair[0], default=(0, None))
        return (common, kept) if common >= _FEWEST_TOKENS else (0, None)


def _common(first: Tensor, second: Tensor) -> int:
    """Count the tokens that two texts [n] begin with."""
    length = min(len(first), len(second))
    differs = (first[:length] != second[:length]).nonzero()
    return int(differs[0]) if len(differs) else length
